"""A PostgreSQL in a folder of its own, for the stack: made once, then only started."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from processes.program import Program

_PLACES = Path("/usr/lib/postgresql")
_NAME = "gatecast"  # of its user and of its database


class ClusterError(Exception):
    """PostgreSQL cannot be had here; the text says what to do."""


def postgres(folder: Path, *, port: int, password: str) -> Program:
    """The server, whose cluster is made if need be. Raises ClusterError."""
    found = sorted(_PLACES.glob("*/bin"), key=lambda place: float(place.parent.name))
    if not found:
        raise ClusterError(f"no PostgreSQL below {_PLACES}: apt-get install postgresql")
    tools = found[-1]
    user = "postgres" if os.getuid() == 0 else None  # it refuses to run as root
    data = folder / "db"
    if not (data / "PG_VERSION").exists():
        _make(tools, folder, password, user)
    command = (
        *(str(tools / "postgres"), "-D", str(data), "-p", str(port)),
        *("-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"),
    )
    url = f"postgresql://{_NAME}:{password}@127.0.0.1:{port}/{_NAME}"
    return Program("postgres", command, url, user=user)


def _make(tools: Path, folder: Path, password: str, user: str | None) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # of an attempt that was stopped
    folder.mkdir(parents=True, mode=0o700)
    secret = folder / "password"
    secret.write_text(password, "utf-8")
    secret.chmod(0o600)
    if user is not None:
        shutil.chown(folder, user, user)
        shutil.chown(secret, user, user)
    draft = folder / "draft"
    identity = ("--auth=scram-sha-256", "--username", _NAME, "--pwfile", str(secret))
    _do([str(tools / "initdb"), "--pgdata", str(draft), *identity], user)
    make = f"CREATE DATABASE {_NAME};\n"
    _do([str(tools / "postgres"), "--single", "-D", str(draft), "postgres"], user, make)
    secret.unlink()
    draft.rename(folder / "db")


def _do(command: list[str], user: str | None, said: str = "") -> None:
    try:
        subprocess.run(  # noqa: S603 - our own command
            command,
            user=user,
            group=user,
            extra_groups=None if user is None else (),
            input=said,
            capture_output=True,
            text=True,
            check=True,
            cwd="/",
        )
    except PermissionError:
        raise ClusterError(
            f"PostgreSQL runs as the user {user}, who may not go to the stack's folder: "
            "choose another with --folder"
        ) from None
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip() or error.stdout.strip()).splitlines()[-1:]
        raise ClusterError(f"{Path(command[0]).name} failed: {' '.join(last)}") from None
