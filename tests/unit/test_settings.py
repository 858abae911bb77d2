"""Settings come from the environment, are checked, and are all in the documentation."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from danqing.cli.settings_page import settings_page
from danqing.errors import SettingError
from danqing.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_is_what_the_settings_say():
    assert PAGE.read_text() == settings_page(), "run: python -m danqing.cli.settings_page > docs/settings.md"


def test_an_environment_variable_sets_an_option(monkeypatch, tmp_path):
    monkeypatch.setenv("DANQING_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("DANQING_PORT", "0")
    monkeypatch.setenv("DANQING_FILE_LIFETIME_SECONDS", "60")
    settings = Settings()
    assert settings.database_location == tmp_path / "danqing.db"
    assert (settings.port, settings.file_lifetime) == (0, timedelta(minutes=1))


@pytest.mark.parametrize("name", ["data_dir", "model"])
def test_the_home_folder_may_be_written_short(monkeypatch, name):
    monkeypatch.setenv(f"DANQING_{name.upper()}", "~/pictures")
    assert getattr(Settings(), name) == Path.home() / "pictures"


@pytest.mark.parametrize("value", ["", " "])
@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_variable_that_is_set_and_empty_is_unset(monkeypatch, name, value):
    monkeypatch.setenv(f"DANQING_{name.upper()}", value)
    assert Settings() == _without_variables(monkeypatch)


@pytest.mark.parametrize("address", ["tcp://10.96.0.12:8000", "udp://10.96.0.12:8000"])
def test_the_address_of_a_kubernetes_service_is_no_port(monkeypatch, address):
    monkeypatch.setenv("DANQING_PORT", address)
    assert Settings().port == 8000


class TestWithoutAHomeFolder:
    """A container whose numeric user has no entry in the password file."""

    @pytest.fixture(autouse=True)
    def _homeless(self, homeless):
        pass

    def test_only_what_needs_the_data_folder_fails_and_names_the_variable(self):
        settings = Settings()
        with pytest.raises(SettingError, match="DANQING_DATA_DIR: set it to a folder"):
            _ = settings.data_folder
        with pytest.raises(SettingError, match="DANQING_DATA_DIR"):
            _ = settings.database_location

    def test_a_database_and_a_bucket_elsewhere_need_no_folder(self):
        settings = Settings(database_url="postgresql://u@host/db", storage_url="s3://bucket")
        assert settings.database_location == "postgresql://u@host/db"
        assert not settings.needs_data_folder

    def test_a_path_under_the_home_folder_is_refused(self, monkeypatch):
        monkeypatch.setenv("DANQING_MODEL", "~/model")
        with pytest.raises(ValidationError, match="there is no home folder for ~"):
            Settings()


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        ({"host": "127.0.0.1", "port": 80}, "http://127.0.0.1:80"),
        ({"host": "0.0.0.0"}, "http://localhost:8000"),
        ({"host": "::"}, "http://localhost:8000"),
        ({"host": "::1"}, "http://[::1]:8000"),
        ({"host": "[::1]"}, "http://[::1]:8000"),
        ({"public_url": "https://pictures.example.com/"}, "https://pictures.example.com"),
    ],
)
def test_the_base_url_can_be_called(changes, url):
    assert Settings.model_validate(changes).base_url == url


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "70000"),
        ("MAX_BODY_BYTES", "0"),
        ("LOG_LEVEL", "loud"),
        ("PUBLIC_URL", "here"),
        ("DRAIN_SECONDS", "-1"),
        ("EXPANDER", "remote"),
        ("STORAGE_URL", "bucket/prefix"),
        ("STORAGE_URL", "s3://"),
        ("IMAGE_CHECK", "openNSFW"),
        ("IMAGE_CHECK", "/nowhere/classifier"),
        ("IMAGE_CHECK", "./classifier"),
        ("IMAGE_CHECK_THRESHOLD", "0"),
    ],
)
def test_a_bad_value_is_refused(monkeypatch, name, value):
    monkeypatch.setenv(f"DANQING_{name}", value)
    with pytest.raises(ValidationError):
        Settings()


def test_the_image_check_is_on_unless_none_is_asked_for(monkeypatch, tmp_path):
    assert Settings().image_check == "opennsfw"
    for value in ("none", "Falconsai/nsfw_image_detection", str(tmp_path)):
        monkeypatch.setenv("DANQING_IMAGE_CHECK", value)
        assert Settings().image_check == value


def test_the_compiler_is_for_gpus(monkeypatch):
    monkeypatch.setenv("DANQING_COMPILE", "true")
    with pytest.raises(ValidationError, match="DANQING_COMPILE is for GPUs, and DANQING_DEVICE is cpu"):
        Settings()
    monkeypatch.setenv("DANQING_DEVICE", "cuda:0,cuda:1")
    assert Settings().compile


def test_settings_never_show_a_secret(monkeypatch):
    monkeypatch.setenv("DANQING_EXPANDER_API_KEY", "sesame")
    assert "sesame" not in repr(Settings())


def _without_variables(monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(f"DANQING_{name.upper()}", raising=False)
    return Settings()


@pytest.mark.parametrize(
    ("name", "text", "used"),
    [
        (None, None, None),
        (None, "Be brief.", "custom"),
        ("dynamic", "Be brief.", "dynamic"),
        ("custom", None, "custom"),
    ],
)
def test_a_system_prompt_without_a_name_is_custom(name: str | None, text: str | None, used: str | None) -> None:
    assert Settings(system_prompt=name, system_prompt_text=text).effective_system_prompt == used


def test_a_system_prompt_text_that_would_not_be_used_is_refused() -> None:
    with pytest.raises(ValidationError, match="DANQING_SYSTEM_PROMPT is 'en_unified'"):
        Settings(system_prompt="en_unified", system_prompt_text="Be brief.")


@pytest.mark.parametrize("text", ["x" * 20_001, "\udcff"])
def test_a_system_prompt_that_no_model_could_read_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="system_prompt_text"):
        Settings(system_prompt_text=text)
