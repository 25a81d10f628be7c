"""PwsClient.clear_presence against the simulator: what was before holds again."""

from __future__ import annotations

import pytest

from pws_soap import PwsClient
from pws_soap.errors import ArgumentError
from pws_soap.models import PresenceState
from pws_soap.simulator import SimulatorServer, State

ME = "dispatcher@example.com"


@pytest.mark.parametrize("override", [False, True])
async def test_clearing_gives_back_what_was_before(override: bool) -> None:
    """An override or not."""
    async with SimulatorServer(control_port=None, seed=1) as server:
        server.simulator.change(ME, state=State.AWAY)
        before = server.simulator.world.get(ME)
        async with PwsClient(server.nodes[0].base_url) as pws:
            user = await pws.login_end_user(await pws.login("pwsapp", "secret"), "dispatcher")
            await pws.set_presence(user, PresenceState.VACATION, override=override)
            assert server.simulator.world.get(ME).state is State.VACATION
            await pws.clear_presence(user, ME)
            assert server.simulator.world.get(ME) == before
            with pytest.raises(ArgumentError):
                await pws.clear_presence(user, "nobody")
