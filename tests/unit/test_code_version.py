"""The version that runs are tagged with."""

from importlib.metadata import Distribution, PackageNotFoundError, version

from turbine_health import __version__
from turbine_health.io.run_records import code_version


def test_it_is_known_where_the_package_is_a_folder_or_an_archive_on_the_path(monkeypatch):
    def not_installed(name: str) -> Distribution:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(Distribution, "from_name", not_installed)
    assert code_version().startswith(__version__)


def test_it_is_the_one_that_is_installed():
    assert version("turbine-health") == __version__
