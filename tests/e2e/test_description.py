"""What /openapi.json promises is what the running service does: requests made from it, all of schemathesis' checks.

The service is `pws serve` against a simulated server, with API keys, so that what needs one is tried without as well.
Of a stream, which never ends, the first event is read; `test_event_contract` has all other kinds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.processes import Site
from tests.e2e.simulated import Server, Service, configure
from tests.support.ports import free_port

KEY: Final = "pws_" + "t" * 43
ROOT: Final = Path(__file__).parents[2]
METHODS: Final = {"get", "post", "put", "patch", "delete", "head", "options"}
SCHEMATHESIS: Final = str(Path(sys.executable).with_name("schemathesis"))
HOOKS: Final = "tests.e2e.schemathesis_hooks"
SETTINGS: Final = f"""\
hooks = "{HOOKS}"
max-stream-events = 1

[generation]
deterministic = true

# What no description can name: a group, a node or an end user of this configuration, a cursor of an earlier
# page, an Idempotency-Key that came with another body. Valid by the description, such a value may still be 422.
[[operations]]
include-path-regex = "^/v1/(presence|events|trends|contacts|failover|claims|claims/[{{]id[}}]/renew\
|webhooks/[{{]name[}}]/replay)$"
checks.positive_data_acceptance.expected-statuses = ["2xx", "3xx", "401", "403", "404", "409", "410", "422"]
"""


@pytest.fixture
def site(server: Server, tmp_path: Path) -> Iterator[Site]:
    """A service with a key that may do everything, groups, and room for many requests."""
    site = configure(tmp_path, server.port)
    with (tmp_path / "pws.toml").open("a") as file:
        file.write(
            "\n[limits]\nrequests_per_second = 0\n"
            "[history]\nper_contact = 10\n[claims]\nmax_lease = 86400\n"
            f'[keys.everything]\nhash = "sha256:{sha256(KEY.encode()).hexdigest()}"\n'
            'scopes = ["read", "claim", "admin"]\n'
            f'[[webhooks]]\nname = "crm"\nurl = "http://127.0.0.1:{free_port()}"\nsecret = "whsec_{"b3Ro" * 8}"\n'
            f'[facade]\nlisten_port = {(port := free_port())}\naddress = "http://127.0.0.1:{port}"\n'
            '[facade.users.attendant]\npassword = "a seat"\nend_users = ["*"]\n'
        )
    with Service(tmp_path, site) as service:
        yield service.ready().site
        assert service.stop() == 0


def conforms(site: Site, directory: Path, examples: int) -> None:
    """Run all checks over all operations; what it found is the message of a failure."""
    settings = directory / "schemathesis.toml"
    settings.write_text(SETTINGS, "utf-8")
    run = subprocess.run(
        [
            SCHEMATHESIS,
            f"--config-file={settings}",
            "run",
            f"{site.url}/openapi.json",
            f"--header=Authorization: Bearer {KEY}",
            "--checks=all",
            f"--max-examples={examples}",
            "--seed=1",
            "--no-color",
        ],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    paths = json.loads(site.get("/openapi.json").body)["paths"]
    operations = sum(len(path.keys() & METHODS) for path in paths.values())
    assert f"Tested: {operations}" in run.stdout, run.stdout


@pytest.mark.long(ci=True)
def test_the_service_does_what_its_description_says(site: Site, tmp_path: Path) -> None:
    """A few requests for each operation."""
    conforms(site, tmp_path, examples=8)


@pytest.mark.long
@pytest.mark.timeout(1000)
def test_the_service_does_what_its_description_says_for_many_requests(site: Site, tmp_path: Path) -> None:
    """Some hundred for each operation."""
    conforms(site, tmp_path, examples=200)
