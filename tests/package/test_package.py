"""The package of Debian on a Debian that has booted: installed, run by systemd, upgraded, repaired and removed."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import REPOSITORY, Page
from tests.package.machine import Machine, booted, debian_root
from tests.real_parts import program

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SERVICE = "docs/how-to/service.md"
BUILD, INSTALL, BACKUP = (Page(SERVICE, ()).blocks(f"sh {name}")[0] for name in ("build", "install", "backup"))
RKMP = "rkmp --user ops --key operator"
POLICY = "<ike-policy><name>{}</name></ike-policy>"
ROUTER = '<rkmp xmlns="urn:rkmp:yang:rkmp">{}</rkmp>'
CONSUMERS = """<agent xmlns="urn:rkmp:yang:rkmp-agent"><southbound>
  <key-socket><path>/run/rkmp/keys.sock</path></key-socket>
  <bird>
    <name>main</name>
    <control-socket>/run/bird/bird.ctl</control-socket>
    <include-directory>/etc/bird/keys</include-directory>
    <neighbor><address>192.0.2.2</address><protocol>nb</protocol></neighbor>
  </bird>
</southbound></agent>"""

CLIENT = """
from ncclient import manager
with manager.connect(host="127.0.0.1", port=830, username="ops", key_filename="operator", hostkey_verify=False,
                     allow_agent=False, look_for_keys=False, timeout=20) as session:
    session.edit_config(target="running", config='''<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">
        <rkmp xmlns="urn:rkmp:yang:rkmp"><ike-policy><name>by-ncclient</name></ike-policy></rkmp></config>''')
    print(session.get_config("running").data_xml)
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the package in ``dist`` and, in ``older``, the same as that of a release before it."""
    debian_root()
    folder = tmp_path_factory.mktemp("packages")
    command = BUILD.replace("dist", str(folder / "dist"))
    done = subprocess.run(["bash", "-euc", command], cwd=REPOSITORY, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (package,) = (folder / "dist").glob("rkmp_*.deb")
    unpacked = folder / "unpacked"
    dpkg = program("dpkg-deb", "dpkg")
    subprocess.run([dpkg, "-R", package, unpacked], check=True)
    control = unpacked / "DEBIAN" / "control"
    control.write_text(re.sub(r"(?m)^Version: .*$", "Version: 0.0.1-1", control.read_text()))
    (folder / "older").mkdir()
    subprocess.run([dpkg, "-Zzstd", "-z1", "-b", unpacked, folder / "older" / "rkmp_0.0.1-1.deb"], check=True)
    shutil.rmtree(unpacked)
    return folder


@pytest.fixture(scope="module")
def machine(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Give a machine where the package of before runs an agent, as the page says."""
    log = tmp_path_factory.mktemp("machine") / "log"
    with booted(debian_root(), log, {packages: "/srv/packages"}) as machine:
        machine.run(
            "ssh-keygen -q -t ed25519 -N '' -f operator\n"
            "for name in dist older; do ln -s /srv/packages/older $name; done"
        )
        told = machine.run("apt install -y ./dist/rkmp_*.deb")
        assert "rkmpd init --state-dir /var/lib/rkmp" in told
        assert machine.fail("systemctl is-enabled rkmpd").strip() == "disabled", "nothing is enabled by force"
        assert machine.fail("systemctl is-active rkmpd").strip() == "inactive"
        assert "PEER" in machine.run(INSTALL).upper()
        yield machine


def configured(machine: Machine) -> set[str]:
    return set(re.findall(r"<(?:\w+:)?name>([\w-]+)<", machine.run(f"{RKMP} show config --xml")))


def main_pid(machine: Machine) -> str:
    return machine.run("systemctl show --value -p MainPID rkmpd").strip()


def add_policy(machine: Machine, name: str) -> None:
    machine.put("router.xml", ROUTER.format(POLICY.format(name)))
    machine.run(f"{RKMP} apply router.xml")


@pytest.mark.page("docs/how-to/service.md", "sh build", "sh install", "sh backup")
def test_the_page_has_what_is_run_here_more_than_once(page: Page) -> None:
    assert [page.blocks(f"sh {name}") for name in ("build", "install", "backup")] == [[BUILD], [INSTALL], [BACKUP]]


def test_nothing_names_the_place_where_it_was_built(packages: Path, tmp_path: Path) -> None:
    (package,) = (packages / "dist").glob("rkmp_*.deb")
    subprocess.run([program("dpkg-deb", "dpkg"), "-x", package, tmp_path], check=True)
    home = tmp_path / "usr" / "lib" / "rkmp"
    for name in ("pyvenv.cfg", "bin/rkmp", "bin/rkmpd"):
        assert "/tmp/" not in (home / name).read_text(), name
    assert {path.name for path in (home / "bin").iterdir()} == {"rkmp", "rkmpd", "python", "python3", "python3.11"}
    assert (home / "bin" / "python3").readlink() == Path("/usr/bin/python3")
    for name in ("man1/rkmp.1.gz", "man8/rkmpd.8.gz"):
        assert (tmp_path / "usr" / "share" / "man" / name).exists()


def test_it_runs_without_root_and_may_do_what_it_has_to(machine: Machine) -> None:
    status = machine.run(f"cat /proc/{main_pid(machine)}/status")
    found = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    uid = machine.run("id -u rkmp").strip()
    assert uid != "0"
    assert set(found["Uid"].split()) == {uid}
    bind_service = 1 << 10
    assert {int(found[f"Cap{each}"], 16) for each in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {bind_service}
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")
    assert machine.run("stat -c '%U %a' /var/lib/rkmp").split() == ["rkmp", "700"]
    shown = machine.run("systemctl show -p StatusText rkmpd")
    assert "netconf=0.0.0.0:830 ike=0.0.0.0:500" in shown
    # What it can write: its state, and what is private to it.
    for path, can_write in (("/var/lib/rkmp", True), ("/etc", False), ("/usr", False), ("/var/log", False)):
        options = machine.run(f"nsenter -t {main_pid(machine)} -m -- findmnt -n -o OPTIONS -T {path}")
        assert options.startswith("rw") == can_write, path


def test_a_reload_restarts_nothing(machine: Machine) -> None:
    before = main_pid(machine)
    machine.run("systemctl reload rkmpd")
    machine.run("until journalctl -u rkmpd | grep -q 'told to reload by SIGHUP'; do sleep 0.1; done")
    machine.run('until [ "$(systemctl is-active rkmpd)" = active ]; do sleep 0.1; done')
    assert main_pid(machine) == before


def test_ncclient_drives_it(machine: Machine) -> None:
    assert "by-ncclient" in machine.run("/usr/lib/rkmp/bin/python3 -", text=CLIENT)
    assert "by-ncclient" in configured(machine)


def test_a_shell_completes_its_words_and_the_manual_is_there(machine: Machine) -> None:
    found = machine.run(
        "source /usr/share/bash-completion/completions/rkmp; COMP_WORDS=(rkmp she); COMP_CWORD=1\n"
        "complete -p rkmp; COMP_WORDS=(rkmp sho); _rkmp; echo ${COMPREPLY[@]}"
    )
    assert found.splitlines()[-1] == "show"


def test_an_agent_that_hangs_is_started_anew(machine: Machine) -> None:
    machine.run(
        "mkdir -p /run/systemd/system/rkmpd.service.d && cd /run/systemd/system/rkmpd.service.d && "
        "printf '[Service]\\nWatchdogSec=5s\\n' > fast.conf && systemctl daemon-reload && systemctl restart rkmpd"
    )
    before = main_pid(machine)
    machine.run(f"kill -STOP {before}")
    machine.run(
        f"until systemctl -q is-active rkmpd && [ $(systemctl show --value -p MainPID rkmpd) != {before} ]; "
        "do sleep 0.1; done; "
        "rm /run/systemd/system/rkmpd.service.d/fast.conf; systemctl daemon-reload"
    )
    assert main_pid(machine) not in (before, "0")
    assert "Watchdog timeout" in machine.run("journalctl -u rkmpd")
    assert "by-ncclient" in configured(machine)


@pytest.mark.page("docs/how-to/service.md", "sh journal")
def test_the_journal_knows_how_grave_a_line_is(machine: Machine, page: Page) -> None:
    assert "ended: closed" in machine.run("journalctl -u rkmpd -p info")
    assert "ended: closed" not in machine.run(page.blocks("sh journal")[0])
    machine.run("systemctl stop rkmpd; mv /var/lib/rkmp/rkmp.db kept.db")
    machine.fail("systemctl start rkmpd")
    assert "has lost rkmp.db" in machine.run(page.blocks("sh journal")[0])
    machine.run("mv kept.db /var/lib/rkmp/rkmp.db; systemctl start rkmpd")


@pytest.mark.page("docs/how-to/service.md", "sh upgrade", "sh way-back")
def test_an_upgrade_keeps_the_state_and_what_was_set_and_restarts_the_agent(machine: Machine, page: Page) -> None:
    add_policy(machine, "before")
    before = main_pid(machine)
    machine.run("echo 'RKMPD_OPTIONS=--log-format json' > /etc/default/rkmpd; ln -sfn /srv/packages/dist dist")
    machine.run(page.blocks("sh upgrade")[0])
    assert machine.run("cat /etc/default/rkmpd").strip() == "RKMPD_OPTIONS=--log-format json"
    assert main_pid(machine) != before
    assert "before" in configured(machine)
    assert "0.0.1" not in machine.run("dpkg-query -W -f '${Version}' rkmp")
    add_policy(machine, "after")
    machine.run(page.blocks("sh way-back")[0])
    assert "0.0.1" in machine.run("dpkg-query -W -f '${Version}' rkmp")
    assert {"before"} == {"before", "after"} & configured(machine)
    machine.run("rm -r /var/lib/rkmp.newer; apt install -y ./dist/rkmp_*.deb; rm /etc/default/rkmpd")


@pytest.mark.page("docs/how-to/service.md", "sh log-file")
def test_a_log_file_is_rotated_while_it_is_written(machine: Machine, page: Page) -> None:
    machine.run(page.blocks("sh log-file")[0])
    rotated, current = "/var/log/rkmpd.log.1", "/var/log/rkmpd.log"
    assert "ready" not in machine.run(f"cat {current}"), "that is standard output's"
    add_policy(machine, "first")
    machine.run(f"echo {'x' * 32} | logger -t x; systemctl restart rkmpd; logrotate -f /etc/logrotate.d/rkmpd")
    assert "stopped" in machine.run(f"cat {rotated}")
    assert machine.run(f"cat {current}") == ""
    machine.run("systemctl stop rkmpd")
    assert "stopped" in machine.run(f"cat {current}"), "it goes on at the beginning of the file"
    machine.run("rm /etc/systemd/system/rkmpd.service.d/log.conf; systemctl daemon-reload; systemctl start rkmpd")


@pytest.mark.page(
    "docs/how-to/recovery.md",
    "sh key",
    "sh corrupt",
    "sh disk",
    "sh administrator",
    "sh clock",
    "sh machine",
    "sh anew",
)
def test_what_is_lost_or_broken_is_repaired_as_the_page_says(machine: Machine, page: Page) -> None:
    add_policy(machine, "kept")
    machine.run(f"cp /var/lib/rkmp/key-encryption-key .; {BACKUP}")

    machine.run("systemctl stop rkmpd; rm /var/lib/rkmp/key-encryption-key")
    machine.fail("systemctl start rkmpd")
    assert "has lost key-encryption-key" in machine.run("journalctl -u rkmpd")
    machine.run(page.blocks("sh key")[0])
    machine.run("tar xf rkmp.tar key-encryption-key")
    machine.run(page.blocks("sh key")[0])
    assert "kept" in configured(machine)

    machine.run(
        "sleep 1.5; systemctl stop rkmpd; dd if=/dev/zero of=/var/lib/rkmp/rkmp.db bs=4096 count=1 conv=notrunc"
    )
    machine.fail("systemctl start rkmpd")
    assert "or start with --from-last-good" in machine.run("journalctl -u rkmpd")
    machine.run(page.blocks("sh corrupt")[0])
    assert "kept" in configured(machine)
    assert "without the keys that were negotiated" in machine.run("journalctl -u rkmpd")

    assert "%" in machine.run(page.blocks("sh disk")[0])

    machine.run("ssh-keygen -q -t ed25519 -N '' -f rescue")
    assert "kept" in machine.run(page.blocks("sh administrator")[0])

    machine.run("rkmp --user rescue --key rescue show peers")
    # Nobody is its peer, which doctor has to say; the clock is right.
    told = machine.fail(page.blocks("sh clock")[0])
    assert "nothing-configured" in told
    assert "clock-skew" not in told

    machine.run("systemctl disable --now rkmpd; rm -r /var/lib/rkmp; install -d -o rkmp -g rkmp -m 700 /var/lib/rkmp")
    machine.run(page.blocks("sh machine")[0])
    assert "kept" in configured(machine)

    add_policy(machine, "again")
    machine.run(page.blocks("sh anew")[0])
    assert {"again"} == {"kept", "again"} & configured(machine)


@pytest.mark.page("docs/how-to/service.md", "sh credential")
def test_the_key_encryption_key_is_a_credential_that_backups_leave_out(machine: Machine, page: Page) -> None:
    add_policy(machine, "sealed")
    machine.run("cp /var/lib/rkmp/key-encryption-key kept")
    machine.run(page.blocks("sh credential")[0])
    assert "sealed" in configured(machine)
    assert "--without-key" in machine.fail("rkmpd backup --state-dir /var/lib/rkmp --output sealed.tar")
    machine.run("rkmpd backup --state-dir /var/lib/rkmp --output sealed.tar --without-key")
    machine.run("systemctl stop rkmpd; mv /var/lib/rkmp gone; mkdir -m 700 /var/lib/rkmp")
    assert "--key" in machine.fail("rkmpd restore --state-dir /var/lib/rkmp --input sealed.tar")
    machine.run(
        "rkmpd restore --state-dir /var/lib/rkmp --input sealed.tar --key kept; chown -R rkmp: /var/lib/rkmp; "
        "rm /etc/credstore.encrypted/key-encryption-key; systemctl start rkmpd"
    )
    assert "sealed" in configured(machine)


@pytest.mark.page("docs/how-to/service.md", "ini")
def test_a_drop_in_gives_it_what_a_routing_daemon_takes_keys_by(machine: Machine, page: Page) -> None:
    (directory,) = re.findall(r"`(install -d -o [^`]+)`", page.text)
    machine.run(f"groupadd -g 950 bird; useradd -u 950 -g bird bird; mkdir -p /run/bird /etc/bird; {directory}")
    drop_in = "/run/systemd/system/rkmpd.service.d/bird.conf"
    machine.run(f"mkdir -p $(dirname {drop_in}); cat > {drop_in}; systemctl daemon-reload", text=page.blocks("ini")[0])
    machine.run("systemctl restart rkmpd")
    assert re.search(r"(?m)^Groups:.*\b950\b", machine.run(f"cat /proc/{main_pid(machine)}/status"))
    for path in ("/run/bird", "/etc/bird/keys"):
        options = machine.run(f"nsenter -t {main_pid(machine)} -m -- findmnt -n -o OPTIONS -T {path}")
        assert options.startswith("rw"), path

    machine.put("consumers.xml", CONSUMERS)
    machine.run(f"{RKMP} apply consumers.xml; until [ -S /run/rkmp/keys.sock ]; do sleep 0.1; done")
    machine.run("until [ -e /etc/bird/keys/nb.conf ]; do sleep 0.1; done")
    assert "disabled yes;" in machine.run("runuser -u bird -- cat /etc/bird/keys/nb.conf")
    assert "Permission denied" in machine.fail("runuser -u nobody -- cat /etc/bird/keys/nb.conf")


def test_removal_keeps_the_state_and_a_purge_does_not(machine: Machine) -> None:
    """The last one here: nothing is left of the agent afterwards."""
    told = machine.run("apt remove -y rkmp")
    assert "stay in /var/lib/rkmp" in told
    assert machine.fail("systemctl is-active rkmpd").strip() == "inactive"
    assert "rkmp.db" in machine.run("ls /var/lib/rkmp")
    machine.run("apt install -y ./dist/rkmp_*.deb; systemctl start rkmpd")
    assert "sealed" in configured(machine)
    told = machine.run("apt purge -y rkmp")
    assert "removing /var/lib/rkmp" in told
    machine.run("! test -e /var/lib/rkmp; ! test -e /usr/lib/rkmp; ! test -e /etc/default/rkmpd")
    assert "rkmpd" not in machine.run("ls /etc/systemd/system/multi-user.target.wants/")
