"""A simulator of Cisco's Presence Web Service, for people without a lab and for tests that want a bad day.

It shares nothing with the client but the WSDL. `Simulator` is the cluster without sockets, `SimulatorServer` puts
sockets, TLS and a control interface around it; `docs/simulator.md` tells how to use both.
"""

from pws_soap.simulator.actions import inject
from pws_soap.simulator.cluster import Simulator
from pws_soap.simulator.exchange import ConnectionAborted, NodeDown, SimReply
from pws_soap.simulator.faults import Fault
from pws_soap.simulator.nodes import NodeCondition
from pws_soap.simulator.office import OfficeDay
from pws_soap.simulator.options import KNOWN_CALLBACK_PORTS, Options, User
from pws_soap.simulator.plain_options import options_from
from pws_soap.simulator.server import NodeAddress, ServedNode, SimulatorServer, run, serve
from pws_soap.simulator.world import Device, Presence, State, World

__all__ = [
    "KNOWN_CALLBACK_PORTS",
    "ConnectionAborted",
    "Device",
    "Fault",
    "NodeAddress",
    "NodeCondition",
    "NodeDown",
    "OfficeDay",
    "Options",
    "Presence",
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
