"""The recipes for SOAP toolkits in docs/protocol.md: the code of those that are installed is run as it stands."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import zeep
from lxml import etree

from pws_soap.simulator import Options, SimulatorServer

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text("utf-8").partition("## 6. Recipes")[2]
ADDRESS = "http://127.0.0.1:8082/presence-service/soap"
LIMITS = ("BasicPresenceList", "ContactListType")


@pytest.fixture
async def server() -> AsyncIterator[SimulatorServer]:
    """A simulator that gives 150 contacts at once."""
    options = Options(contacts_per_list=5000)
    async with SimulatorServer(options, nodes=("imp1",), control_port=None, seed=1) as server:
        server.simulator.populate(150)
        yield server


def recipe(language: str, word: str, url: str) -> str:
    """The block of code that has this word in it, for the server at this URL."""
    (found,) = [code for code in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) if word in code]
    return str(found).replace(ADDRESS, url)


async def run(*command: str) -> str:
    """Run a program; what it prints. It says nothing else."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert (err.decode(), process.returncode) == ("", 0)
    return out.decode()


async def test_zeep(server: SimulatorServer) -> None:
    """As it stands in the page."""
    told = await run(sys.executable, "-c", recipe("python", "import zeep", server.nodes[0].url))
    assert told == "ann@example.com UNAVAILABLE\njoe@example.com UNAVAILABLE\n"


async def test_zeep_with_more_contacts_than_the_wsdl_allows(server: SimulatorServer) -> None:
    """All come with the limit lifted; without, strict raises at the 101st and lax keeps 100."""
    url = server.nodes[0].url
    contacts = [presence.contact for presence in server.simulator.world]

    def polled(*, lifted: bool, strict: bool) -> int:
        client = zeep.Client(url + "?wsdl", settings=zeep.Settings(strict=strict))
        for name in LIMITS:
            for _, element in client.get_type("{urn:cisco:cup:presence:soap}" + name).elements:
                if lifted or name == "ContactListType":
                    element.max_occurs = "unbounded"
        service = client.create_service("{urn:cisco:cup:presence:soap}PresenceSoapBinding", url)
        key = service.login(username="pwsapp", password="secret").success["session-key"]
        user = service.login(username="dispatcher", **{"app-session-id": key}).success["session-key"]
        reply = service.getPolledPresence(
            contactsList={"contact": [{"contactURI": contact} for contact in contacts]},
            presenceType="BASIC_PRESENCE",
            _soapheaders={"sessionKeyHeader": user},
        )
        return len(reply.basicPresenceList.contact)

    assert await asyncio.to_thread(polled, lifted=True, strict=True) == 150
    assert await asyncio.to_thread(polled, lifted=False, strict=False) == 100
    with pytest.raises(zeep.exceptions.XMLParseError):
        await asyncio.to_thread(polled, lifted=False, strict=True)


@pytest.mark.skipif(importlib.util.find_spec("suds") is None, reason="suds is not installed")
async def test_suds(server: SimulatorServer) -> None:
    """As it stands in the page."""
    told = await run(sys.executable, "-c", recipe("python", "import Client", server.nodes[0].url))
    assert told == "UNAVAILABLE\n"


def has_soap_lite() -> bool:
    """Whether Perl and SOAP::Lite are there."""
    perl = shutil.which("perl")
    return (
        perl is not None
        and subprocess.run([perl, "-MSOAP::Lite", "-e1"], capture_output=True, check=False).returncode == 0
    )


@pytest.mark.skipif(not has_soap_lite(), reason="SOAP::Lite is not installed")
async def test_soap_lite(server: SimulatorServer) -> None:
    """As it stands in the page: without xsi:type, which it would write of the wrong types."""
    code = "use strict; use warnings; use SOAP::Lite;\n" + recipe("perl", "SOAP::Lite", server.nodes[0].url)
    assert await run("perl", "-e", code) == "ann@example.com UNAVAILABLE\n"


def test_every_toolkit_has_a_recipe() -> None:
    """And every element of our WSDL has a type, without which wsdl2perl stops."""
    named = "zeep, suds, JAX-WS, Axis 1.4, .NET, Mono, node-soap, strong-soap, PHP, SOAP::Lite, soap4r, KDSoap"
    for toolkit in named.split(", "):
        assert toolkit in PAGE
    wsdl = etree.parse(Path(__file__).parents[2] / "wsdl" / "presence.wsdl")
    for element in wsdl.iter("{http://www.w3.org/2001/XMLSchema}element"):
        assert element.get("type") or len(element), element.get("name")
