"""What a person can do about an error of the library: one sentence for each kind, naming the key to set."""

from __future__ import annotations

from pws_soap import errors


def message(error: errors.PwsError) -> str:
    """The error in one line, with what to do about it."""
    text = " ".join(str(error).split())
    advice = hint(error)
    if advice and isinstance(error, errors.Fault) and error.code is not None:
        # the server's own texts repeat the meaning, and its fix is written for programmers
        text = f"{error.operation or 'request'} refused with code {error.code} ({error.meaning})"
    between = " " if text.endswith("?") else "; "
    return f"{text}{between}{advice}" if advice else text


def hint(error: errors.PwsError) -> str:
    """What to do about `error`; empty where its own text says it all."""
    match error:
        case errors.TlsFailed() if error.cure:
            return ""
        case errors.UntrustedServer():
            return "in pws.toml these are server.ca_file and server.fingerprint"
        case errors.Unreachable() if errors.NO_DESCRIPTORS_LEFT in str(error):
            return ""
        case errors.Disconnected() if error.operation in {"login", "?wsdl"}:
            return "if the port speaks TLS (8083 does), server.tls must not be false; else try again"
        case errors.Unreachable():
            return "check server.nodes, server.tls and the way through the network"
        case errors.TimedOut():
            return "does the service on the node hang? Else try again, or set server.read_timeout higher"
        case errors.NotXml() | errors.EmptyReply() | errors.UnexpectedReply():
            return "is this an IM and Presence node, with its Presence Web Service running?"
        case errors.LoginRefused(code=113 | 112):
            return "check application.username, and the end user's name"
        case errors.LoginRefused():
            group = "the server's group 'Admin-3rd Party API'"
            return f"check application.username and the password; the user needs {group}"
        case errors.AlreadyLoggedIn():
            return "another application holds this user; application.take_over = true ends its session"
        case errors.Redirected(primary=None, backup=None):
            return "the server did not say which; is the user assigned to a node?"
        case errors.Redirected():
            return f"put {error.primary or error.backup} first in server.nodes"
        case errors.SubscriptionLost(code=137) | errors.EndpointLost(code=136):
            return "choose the end user it was made for with --end-user"
        case errors.SubscriptionLost() | errors.EndpointLost():
            return "`pws create` makes one, and prints its id"
        case errors.Exhausted():
            return (
                "`pws delete --sweep 1-16` frees what this application user left behind; what other programs hold "
                "expires, or they must remove it"
            )
        case errors.Throttled(code=212):
            return "set lifecycle.requests_per_second lower; all programs that ask this node share its limit"
        case errors.Throttled():
            return "the server is busy: wait a minute before the next try"
        case errors.RequestRefused(code=140 | 141):
            return "application.username is an application user, watch.end_user an end user"
        case errors.ContractError():
            return "server.wsdl says where it comes from"
        case _:
            return ""
