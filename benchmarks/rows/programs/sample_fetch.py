"""What a sample script does for one notification: log in twice, fetch, print. With requests and texts, as they do.

sample_fetch.py HOST:PORT SUBSCRIPTION BASIC_PRESENCE
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree  # as the sample does, with the simulator's replies

import requests

_ENVELOPE = (
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"'
    ' xmlns:urn="urn:cisco:cup:presence:soap">'
    "<soapenv:Header>{header}</soapenv:Header><soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
)


def call(server: str, operation: str, body: str, key: str = "") -> ElementTree.Element:
    """Send one request; its reply."""
    header = f"<urn:session-key>{key}</urn:session-key>" if key else ""
    reply = requests.post(
        f"http://{server}/presence-service/soap",
        data=_ENVELOPE.format(header=header, body=body),
        headers={"Content-Type": "text/xml", "SOAPAction": f'"urn:cisco:cup:presence:soap/{operation}"'},
        timeout=30,
    )
    reply.raise_for_status()
    return ElementTree.fromstring(reply.text)  # noqa: S314


def text(element: ElementTree.Element, name: str) -> str:
    """The text of the first element of that name."""
    return next(each.text or "" for each in element.iter() if each.tag.endswith("}" + name))


def main() -> None:
    """Fetch, and print the contacts."""
    server, subscription, kind = sys.argv[1:]
    login = (
        '<urn:login force="false"><urn:username>pwsapp</urn:username><urn:password>secret</urn:password></urn:login>'
    )
    application = text(call(server, "login", login), "session-key")
    login = (
        '<urn:login force="false"><urn:username>dispatcher</urn:username>'
        f"<urn:app-session-id>{application}</urn:app-session-id></urn:login>"
    )
    user = text(call(server, "login", login), "session-key")
    fetch = (
        f"<urn:getSubscribedPresence><urn:subscriptionID>{subscription}</urn:subscriptionID>"
        f"<urn:presenceType>{kind}</urn:presenceType></urn:getSubscribedPresence>"
    )
    reply = call(server, "getSubscribedPresence", fetch, user)
    for each in reply.iter():
        if "contactURI" in each.attrib:
            print(each.attrib["contactURI"], each.attrib["presenceStatus"])


if __name__ == "__main__":
    main()
