from itertools import combinations

import pytest

from services.messaging.config import Config
from services.runtime.config import KafkaConfig, ServerConfig, TlsConfig
from services.runtime.env import ConfigError, EnvReader
from tests.support.environments import MESSAGING as GOOD


def test_a_good_environment_gives_a_config() -> None:
    config = Config.from_env(GOOD)
    assert config.kafka.bootstrap == "127.0.0.1:9092"
    assert config.text_limit == 10_000
    assert config.objects.public_endpoint == "https://s3.example"


def test_processes_share_their_core_as_any_other_unless_told_so() -> None:
    assert not Config.from_env(GOOD).process.sched_batch
    assert Config.from_env({**GOOD, "PARLEY_SCHED_BATCH": "true"}).process.sched_batch


def test_all_faults_are_told_at_once() -> None:
    faulty = {**GOOD, "PARLEY_KAFKA_BOOTSTRAP": "nowhere", "PARLEY_TEXT_LIMIT": "many", "PARLEY_LOG_FORMAT": "xml"}
    del faulty["PARLEY_DATABASE_URL"]
    with pytest.raises(ConfigError) as caught:
        Config.from_env(faulty)
    told = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 4
    for name in ("PARLEY_KAFKA_BOOTSTRAP", "PARLEY_TEXT_LIMIT", "PARLEY_LOG_FORMAT", "PARLEY_DATABASE_URL"):
        assert name in told


def test_a_faulty_secret_is_not_repeated_in_the_problem() -> None:
    reader = EnvReader({"PARLEY_RESUME_KEY": "c2hvcnQ="})
    reader.keys("PARLEY_RESUME_KEY")
    with pytest.raises(ConfigError) as caught:
        reader.finish()
    assert caught.value.problems == ["PARLEY_RESUME_KEY is shorter than 32 bytes"]


@pytest.mark.parametrize(("text", "ok"), [("1", True), ("100", True), ("0", False), ("101", False), ("1.5", False)])
def test_whole_numbers_are_held_within_their_bounds(text: str, ok: bool) -> None:
    reader = EnvReader({"N": text})
    reader.integer("N", 7, low=1, high=100)
    if ok:
        reader.finish()
    else:
        with pytest.raises(ConfigError, match="N is"):
            reader.finish()


def test_booleans_are_true_or_false_and_nothing_else() -> None:
    reader = EnvReader({"A": "true", "B": "FALSE", "C": "yes"})
    assert reader.boolean("A", False) is True
    assert reader.boolean("B", True) is False
    reader.boolean("C", False)
    with pytest.raises(ConfigError, match="C is 'yes'"):
        reader.finish()


def test_tls_to_the_broker_has_both_files_or_none_and_never_speaks_in_clear_by_accident() -> None:
    def problems(**env: str) -> list[str]:
        reader = EnvReader({"PARLEY_KAFKA_BOOTSTRAP": "kafka:9093", **env})
        KafkaConfig.read(reader)
        try:
            reader.finish()
        except ConfigError as error:
            return error.problems
        return []

    good = {"PARLEY_KAFKA_CA_FILE": "ca", "PARLEY_KAFKA_CERTIFICATE_FILE": "crt", "PARLEY_KAFKA_KEY_FILE": "key"}
    assert not problems(PARLEY_KAFKA_TLS="true", **good)
    assert not problems(PARLEY_KAFKA_TLS="true")
    assert "go together" in problems(PARLEY_KAFKA_TLS="true", PARLEY_KAFKA_KEY_FILE="key")[0]
    assert "is not true" in problems(**good)[0]


TLS = {"PARLEY_TLS_CERTIFICATE_FILE": "crt", "PARLEY_TLS_KEY_FILE": "key", "PARLEY_TLS_CA_FILE": "ca"}


def read_tls(env: dict[str, str]) -> TlsConfig:
    reader = EnvReader(env)
    config = TlsConfig.read(reader)
    reader.finish()
    return config


def test_mutual_tls_is_off_until_its_three_files_are_named() -> None:
    assert not read_tls({}).is_on
    assert read_tls(TLS) == TlsConfig("crt", "key", "ca")
    assert read_tls(TLS).is_on


@pytest.mark.parametrize("named", [names for count in (1, 2) for names in combinations(TLS, count)])
def test_mutual_tls_that_is_half_set_is_refused_and_what_lacks_is_named(named: tuple[str, ...]) -> None:
    """Clear text by oversight would let in whoever reaches the port."""
    with pytest.raises(ConfigError) as refused:
        read_tls({name: TLS[name] for name in named})
    (problem,) = refused.value.problems
    lacking = problem.partition(": ")[2]
    assert all((name in lacking) != (name in named) for name in TLS)


def test_every_server_reads_the_settings_of_tls() -> None:
    env = EnvReader({**TLS, "PARLEY_SERVICE_PUBLIC_KEYS_FILE": "keys", "PARLEY_HEALTH_ADDRESS": "127.0.0.1:7999"})
    config = ServerConfig.read(env, public=False)
    assert config.tls.is_on
    assert config.health_address == "127.0.0.1:7999"
