"""A simulator of Cisco's Presence Web Service, for people without a lab and for tests that want a bad day.

It speaks through `pws_soap.server`, and adds people (`office`), several nodes (`cluster`), what goes wrong (`faults`),
plans (`scripts`), the JSON interface of a tester (`control`) and sockets (`serving`). It shares nothing with the client
but the WSDL. `Simulator` is the cluster without sockets, `SimulatorServer` listens; see `docs/simulator.md`.
"""

from pws_soap.server.presence import Device, Presence, State
from pws_soap.simulator.cluster.simulator import Simulator
from pws_soap.simulator.faults.kinds import Fault
from pws_soap.simulator.faults.outages import NodeCondition
from pws_soap.simulator.faults.reply import ConnectionAborted, NodeDown, SimReply
from pws_soap.simulator.observer import Observer, ReplyFate
from pws_soap.simulator.office.world import World
from pws_soap.simulator.option_values import options_from
from pws_soap.simulator.options import KNOWN_CALLBACK_PORTS, Options, User
from pws_soap.simulator.scripts.actions import inject
from pws_soap.simulator.scripts.office_day import OfficeDay
from pws_soap.simulator.serving import NodeAddress, ServedNode, SimulatorServer, run, serve

__all__ = [
    "KNOWN_CALLBACK_PORTS",
    "ConnectionAborted",
    "Device",
    "Fault",
    "NodeAddress",
    "NodeCondition",
    "NodeDown",
    "Observer",
    "OfficeDay",
    "Options",
    "Presence",
    "ReplyFate",
    "ServedNode",
    "SimReply",
    "Simulator",
    "SimulatorServer",
    "State",
    "User",
    "World",
    "inject",
    "options_from",
    "run",
    "serve",
]
