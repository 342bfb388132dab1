"""Settings: one TOML file plus environment variables (`ES_RECSYS_URL`, `ES_RECSYS_INDEX`, ... nested: `ES_RECSYS_SEARCH__DEPTH`).

The file is `--config FILE`, else `ES_RECSYS_CONFIG`, else `es_recsys.toml` in the working folder where there is one.
The environment wins over the file, arguments win over both.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import Annotated, Any

import platformdirs
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from es_recsys.errors import InputError
from es_recsys.private import make_folder
from es_recsys.renamed import RETRIEVERS, current_arguments, current_keys, warn_renamed

__all__ = [
    "EncoderSettings",
    "FusionWeights",
    "ProfileSettings",
    "SearchSettings",
    "ServiceSettings",
    "Settings",
    "load_settings",
]

_STORE_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,62}")


def _store_name(value: str) -> str:
    if not _STORE_NAME.fullmatch(value):
        raise ValueError("a store's name has lower-case letters, digits and _, 63 at most, and begins with a letter or digit")
    return value


def _not_empty(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().strip():
        raise ValueError("it is empty; set a secret, or leave it unset to have one made")
    return value


StoreName = Annotated[str, AfterValidator(_store_name)]


class FusionWeights(BaseModel):
    """Weight of each retriever (>= 0) by situation; a retriever that is not named weighs 0."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    query: dict[str, float] = {
        "lexical": 0.6,
        "text_vector": 0.4,
        "image_vector": 0.25,
        "audio_vector": 0.25,
        "lsa_vector": 0.1,
        "aligned_vector": 0.2,
        "taste_text": 0.12,
        "taste_image": 0.04,
        "taste_audio": 0.04,
        "covisitation": 0.1,
        "als": 0.1,
        "popularity": 0.03,
    }
    no_query: dict[str, float] = {
        "covisitation": 1.0,
        "als": 0.5,
        "taste_text": 0.2,
        "taste_image": 0.1,
        "taste_audio": 0.1,
        "interest": 0.02,
        "popularity": 0.05,
        "recency": 0.03,
    }
    new_user: dict[str, float] = {"popularity": 1.0, "recency": 0.3}

    @field_validator("*", mode="before")
    @classmethod
    def _present_names(cls, weights: Any) -> Any:
        if isinstance(weights, dict):
            for name in weights:
                if name in RETRIEVERS:
                    warn_renamed(name, RETRIEVERS[name])
            return current_keys(weights, RETRIEVERS)
        return weights


class SearchSettings(BaseModel):
    """Settings of searches and recommendations.

    depth: candidates that each retriever brings (fixed, so that pages are stable); text_depth: the same in a search for words,
    if that is less. rank_constant: k of reciprocal rank fusion.

    seen: what becomes, in answers but recommendations, of items that the user has seen: they stay, come after all others, or are
    left out.

    min_cosines: vector field -> the cosines from which it brings in items that the words don't find: beside others, and alone;
    in place of those that are known of the model (`MIN_COSINES`, vector_fields.py).

    interests: how many interests of a user keep slots of their own in a recommendation (below 2: none do).

    ready_hours: how long a ready list (`batch recommend --to-index`) serves (0: none does).

    exploration: how much of an answer's order is left to chance (0: nothing), drawn by `seed`, the user, query and hour.
    log_features: answers are logged with all features of a learned ranking, which costs a larger second request; else with those
    that need no request.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    depth: int = Field(default=200, ge=10, le=2_000)
    text_depth: int = Field(default=100, ge=10, le=2_000)
    num_candidates: int = Field(default=200, ge=10, le=10_000)
    fusion: str = Field(default="weighted", pattern="^(weighted|rrf)$")
    rank_constant: int = Field(default=60, ge=1)
    personalization: float = Field(default=1.0, ge=0, le=1)
    diversity: float = Field(default=0.0, ge=0, le=1)
    popularity: float = Field(default=0.0, ge=-1, le=1)
    calibration: float = Field(default=0.0, ge=0, le=1)
    seen: str = Field(default="keep", pattern="^(keep|demote|exclude)$")
    min_cosines: dict[str, tuple[float, float]] = {}
    interests: int = Field(default=4, ge=0, le=4)
    ready_hours: float = Field(default=24.0, ge=0)
    exploration: float = Field(default=0.0, ge=0, le=1)
    seed: int = Field(default=7, ge=0)
    log_features: bool = False
    freshness_days: float = Field(default=30.0, gt=0)
    weights: FusionWeights = FusionWeights()
    timeout_s: float = Field(default=10.0, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _present_names(cls, values: Any) -> Any:
        return current_arguments(values) if isinstance(values, dict) else values


class ProfileSettings(BaseModel):
    """Settings of profiles.

    Half-lives are in days (in events where a store has no time). history: how many of the last events are kept.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    long_half_life: float = Field(default=60.0, gt=0)
    short_half_life: float = Field(default=3.0, gt=0)
    history: int = Field(default=300, ge=10, le=2_000)
    session_gap_s: float = Field(default=1_800.0, gt=0)


class EncoderSettings(BaseModel):
    """Settings of the encoders.

    text, image, audio: models by name or path; "none" leaves the field out. threads: 0 lets the runtime choose.
    max_image_pixels: width x height of a picture. max_audio_seconds: length of a sound. What has more is not encoded.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str = "all-MiniLM-L6-v2"
    image: str = "efficientnet-lite0"
    audio: str = "log-mel"
    batch_size: int = Field(default=64, ge=1)
    threads: int = Field(default=0, ge=0)
    max_image_pixels: int = Field(default=50_000_000, ge=1)
    max_audio_seconds: float = Field(default=1_800.0, gt=0)


class ServiceSettings(BaseModel):
    """Settings of `es-recsys serve`.

    max_hits: the largest from + size; max_body_kib: of one request.
    own_credentials: whether the service's credentials for Elasticsearch stand for a caller who gives none.
    user_token_secret: what tokens of users are signed with that a public key takes. requests_per_minute: of one key (0: any
    number). allowed_origins: of web pages that may call.
    deadline_s: after which a ranking is given up for Elasticsearch's own order.
    shutdown_s: how long requests that are under way may take at the end.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_hits: int = Field(default=1_000, ge=10, le=10_000)
    max_body_kib: int = Field(default=1_024, ge=1)
    allow_scripts: bool = False
    own_credentials: bool = False
    user_token_secret: Annotated[SecretStr, AfterValidator(_not_empty)] | None = None
    requests_per_minute: int = Field(default=0, ge=0)
    allowed_origins: tuple[str, ...] = ()
    deadline_s: float = Field(default=2.0, gt=0)
    shutdown_s: int = Field(default=20, ge=1)


class Settings(BaseSettings):
    """All settings.

    Secrets are `SecretStr`, so no repr or log shows them.

    answer_log_mib: how large the answer log may become, MiB; then the oldest answers go (0: none is logged).
    from_*: another Elasticsearch that items or events are read from (from_username, from_password: a database, too).
    """

    model_config = SettingsConfigDict(env_prefix="ES_RECSYS_", env_nested_delimiter="__", extra="forbid", frozen=True)

    url: str | None = None
    index: StoreName = "shop"
    api_key: SecretStr | None = None
    username: str | None = None
    password: SecretStr | None = None
    ca_certs: Path | None = None
    ca_fingerprint: str | None = None
    home: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("es-recsys")))
    cache: Path = Field(default_factory=lambda: Path(platformdirs.user_cache_dir("es-recsys")))
    sql_url: SecretStr | None = None
    from_url: str | None = None
    from_api_key: SecretStr | None = None
    from_username: str | None = None
    from_password: SecretStr | None = None
    from_ca_certs: Path | None = None
    from_ca_fingerprint: str | None = None
    user_secret: Annotated[SecretStr, AfterValidator(_not_empty)] | None = None
    java: str | None = None
    heap: str = Field(default="1g", pattern=r"^[1-9][0-9]*[mg]$")
    language: str = "english"
    answer_log_mib: int = Field(default=4_096, ge=0)
    encoders: EncoderSettings = EncoderSettings()
    profiles: ProfileSettings = ProfileSettings()
    search: SearchSettings = SearchSettings()
    service: ServiceSettings = ServiceSettings()

    def of_source(self) -> Settings:
        """Return the settings with which the Elasticsearch at `from_url` is read."""
        return self.model_copy(
            update={
                "url": self.from_url,
                "api_key": self.from_api_key,
                "username": self.from_username,
                "password": self.from_password,
                "ca_certs": self.from_ca_certs,
                "ca_fingerprint": self.from_ca_fingerprint,
            }
        )

    @property
    def answers(self) -> Path:
        """Folder of this store's answer log."""
        return self.store_home / "answers"

    @property
    def store_home(self) -> Path:
        """Folder of this store's artefacts: models, popularity, answer log."""
        return self.home / "stores" / self.index

    def sqlalchemy_url(self) -> str:
        """Return the URL of the event store; SQLite in `home` unless set."""
        if self.sql_url is not None:
            return self.sql_url.get_secret_value()
        return f"sqlite:///{self.home / 'events.sqlite3'}"

    @property
    def key_file(self) -> Path:
        """File in which the secret behind `user_key` is kept, unless it is set."""
        return self.home / "user.key"

    def secret(self) -> bytes:
        """Return the secret behind `user_key`: set, or made once and kept in `home/user.key`, readable by its owner only.

        Raises InputError where the file is empty, or can't be read or made.
        """
        if self.user_secret is not None:
            return self.user_secret.get_secret_value().encode()
        path = self.key_file
        try:
            make_folder(self.home)
            if not path.exists():
                _make_key(path)
            found = path.read_bytes()
        except OSError as error:
            raise InputError(
                f"The key file {path} can't be read or made ({error.strerror}).",
                "Make the file readable and the folder writable, or set ES_RECSYS_USER_SECRET.",
            ) from error
        if not found.strip():
            raise InputError(
                f"The key file {path} is empty.",
                "Put it back from a copy, or set ES_RECSYS_USER_SECRET; remove it only where no events were ever stored.",
            )
        return found


def _make_key(path: Path) -> None:
    """Make a secret and write it to `path`, unless another run has done so.

    A link is atomic, so that two first runs at once agree on one key, and what it names is on the disk by then.
    """
    draft = path.with_name(f".user.key.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_hex(32).encode())
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)


def load_settings(config: Path | None = None, **arguments: Any) -> Settings:
    """Load the settings from the file, the environment and `arguments` (None means not given).

    Raises InputError that names the setting, where one is unknown or out of range, or the file can't be read.
    """
    named = config or (Path(os.environ["ES_RECSYS_CONFIG"]) if os.environ.get("ES_RECSYS_CONFIG") else None)
    if named is not None and not named.is_file():
        raise InputError(f"The settings file {named} does not exist.", "Give another with --config or ES_RECSYS_CONFIG.")
    path = named or Path("es_recsys.toml")
    given = {name: value for name, value in arguments.items() if value is not None}

    class FromFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            *_: Any,
            **__: Any,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            file = (TomlConfigSettingsSource(settings_cls, path),) if path.is_file() else ()
            return (init_settings, env_settings, *file)

    try:
        return FromFile(**given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        wrong = f"There is no setting {name}." if first["type"] == "extra_forbidden" else f"Setting {name}: {first['msg']}."
        raise InputError(
            wrong,
            f"Mend it in {path}, in ES_RECSYS_{name.upper()} or on the command line.",
        ) from None
    except ValueError as error:
        raise InputError(f"The settings file {path} is not TOML: {error}.", "Mend the file.") from None
