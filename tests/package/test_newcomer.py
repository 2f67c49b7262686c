"""A newcomer on a Debian with Python, git and OpenSSH: the README leads to the tutorial, and that to a key, in time."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import REPOSITORY, Page
from tests.docs.shell import PORTS, free_port
from tests.package.machine import debian_root, run_once
from tests.real_parts import program

pytestmark = [pytest.mark.slow, pytest.mark.timeout(700)]

PATIENCE = 600
"""Seconds within which a newcomer shall have two agents that hold a key."""
CERTIFICATES = "/etc/ssl/certs"
BUNDLE = "/srv/rkmp.bundle"
HOME = "/srv/newcomer"

AS_NEWCOMER = """
useradd -m -d {home} newcomer
cat > {home}/typed <<'NEWCOMER'
set -em
trap 'kill $(jobs -p) 2>/dev/null || :' EXIT
cd
git clone -q {bundle} rkmp
cd rkmp
{typed}
echo "a key after $SECONDS seconds"
NEWCOMER
su newcomer -c 'bash ~/typed'
"""
AS_ROOT = """
cd {home}/rkmp
{typed}
runuser -u rkmp -- rkmpd init --state-dir /var/lib/rkmp --user ops --authorized-key - < lab/operator.pub
rkmp --version
"""


def network_settings() -> dict[str, str]:
    """Return what tells pip on this machine how to reach its index."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith("PIP_") or name.lower() in ("http_proxy", "https_proxy", "no_proxy")
    }


@pytest.mark.page("docs/how-to/service.md", "sh source")
def test_two_agents_hold_a_key_within_ten_minutes_of_a_clone(
    page: Page, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = debian_root()
    assert "](docs/tutorial.md)" in (REPOSITORY / "README.md").read_text(encoding="utf-8"), "that is the way there"
    tutorial = Page("docs/tutorial.md", ())
    blocks = tutorial.blocks("sh")
    until = next(number for number, block in enumerate(blocks) if "show keys" in block) + 1
    typed = "\n".join([*tutorial.blocks("sh install"), *blocks[:until]])
    for port in PORTS:
        typed = re.sub(rf"\b{port}\b", free_port(), typed)
    bundle = tmp_path / "rkmp.bundle"
    subprocess.run([program("git"), "-C", REPOSITORY, "bundle", "create", "-q", bundle, "HEAD"], check=True)
    status, printed = run_once(
        root,
        # What root installs without a package comes after the newcomer, and counts for nobody.
        AS_NEWCOMER.format(home=HOME, bundle=BUNDLE, typed=typed)
        + AS_ROOT.format(home=HOME, typed=page.blocks("sh source")[0]),
        binds={bundle: BUNDLE, Path(CERTIFICATES): CERTIFICATES},
        environment=network_settings(),
    )
    assert status == 0, printed
    seconds = re.search(r"(?m)^a key after (\d+) seconds", printed)
    assert seconds is not None, printed
    with capsys.disabled():
        print(f"\nfrom a clone to two agents with a key: {seconds[1]} s")
    assert int(seconds[1]) < PATIENCE
    # The fingerprint as r1 shows it and as r2 does.
    first, same = re.findall(r"(?m)\b[0-9a-f]{16}$", printed.split("a key after")[0])
    assert first == same
    assert "/var/lib/rkmp is ready" in printed
