"""A registered version back as a forecaster, through the checks that the service makes too."""

from __future__ import annotations

import tempfile
from pathlib import Path

from models.bundle import MANIFEST, BundleError, read_bundle
from models.forecaster import Forecaster
from models.manifest import Manifest
from store.conventions import BUNDLE_FOLDER
from training.registry import Registry, RegistryError, quiet_mlflow
from training.versions import Version, versions


def find_version(registry: Registry, task: str, which: str) -> Version:
    """The version of a task that `which` names: a number or an alias.

    Raises RegistryError, which tells what there is, where none does.
    """
    found = versions(registry, task)
    for version in found:
        if which in (str(version.number), *version.aliases):
            return version
    there = ", ".join(
        f"{v.number} ({', '.join(v.aliases)})" if v.aliases else str(v.number) for v in found
    )
    raise RegistryError(f"{task!r} has no version or alias {which!r}; it has {there or 'none'}")


def load_manifest(registry: Registry, version: Version) -> Manifest:
    """Download a version's manifest alone, unchecked. Raises RegistryError where it is none."""
    mlflow = quiet_mlflow()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            path = mlflow.artifacts.download_artifacts(
                artifact_uri=f"{version.source.rstrip('/')}/{BUNDLE_FOLDER}/{MANIFEST}",
                dst_path=scratch,
                tracking_uri=registry.tracking_uri,
                registry_uri=registry.registry_uri,
            )
            return Manifest.model_validate_json(Path(path).read_bytes())
        except (OSError, ValueError, mlflow.exceptions.MlflowException) as error:
            raise RegistryError(f"version {version.number} has no manifest: {error}") from error


def load_version(registry: Registry, version: Version) -> tuple[Forecaster, Manifest]:
    """Download a version's bundle and read it. Raises RegistryError where it is not whole."""
    mlflow = quiet_mlflow()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            folder = mlflow.artifacts.download_artifacts(
                artifact_uri=f"{version.source.rstrip('/')}/{BUNDLE_FOLDER}",
                dst_path=scratch,
                tracking_uri=registry.tracking_uri,
                registry_uri=registry.registry_uri,
            )
            return read_bundle(Path(folder))
        except (OSError, mlflow.exceptions.MlflowException) as error:
            raise RegistryError(f"version {version.number} cannot be fetched: {error}") from error
        except BundleError as error:
            raise RegistryError(f"version {version.number} is damaged: {error.reason}") from error
