"""What SHOW CREATE TABLE tells of a table, as MySQL 8.4 writes it after its documentation."""

from dbtasks.engines.base.definitions import (
    CHECK,
    COLUMN,
    FOREIGN_KEY,
    INDEX,
    PRIMARY_KEY,
    TABLE,
    Definition,
    Key,
    Place,
    Reference,
)
from dbtasks.engines.mysql.introspection import _Table

TOLD = """CREATE TABLE `pet` (
  `id` int unsigned NOT NULL AUTO_INCREMENT,
  `name` varchar(20) CHARACTER SET latin1 COLLATE latin1_bin DEFAULT 'it''s /*!80016 x */',
  `shape` geometry NOT NULL /*!80003 SRID 4326 */,
  `secret` int DEFAULT NULL /*!80023 INVISIBLE */,
  `token` binary(16) DEFAULT (uuid_to_bin(uuid())),
  `lower` varchar(20) GENERATED ALWAYS AS (lower(`name`)) STORED,
  `at` timestamp(6) NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  `owner_id` int DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq` (`name`),
  KEY `ix_lower` ((lower(`name`)),`id` DESC) /*!80000 INVISIBLE */,
  FULLTEXT KEY `words` (`name`) /*!50100 WITH PARSER `ngram` */ ,
  CONSTRAINT `fk` FOREIGN KEY (`owner_id`) REFERENCES `owner` (`id`) ON DELETE CASCADE,
  CONSTRAINT `ck` CHECK ((`id` > 0)) /*!80016 NOT ENFORCED */
) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci COMMENT='pets'
/*!50100 PARTITION BY HASH (`id`)
PARTITIONS 4 */"""


def definitions() -> dict[Key, Definition]:
    return dict(_Table("pet", TOLD).definitions())


def key(kind: str, name: str = "") -> Key:
    return Key(kind, None, "pet", name)


def squeezed(sql: str) -> str:
    return sql.replace(" ", "").lower()


def test_columns() -> None:
    found = {
        item.name: definition.attributes
        for item, definition in definitions().items()
        if item.kind == COLUMN
    }
    assert {name: attributes["null"] for name, attributes in found.items()} == {
        **dict.fromkeys(("id", "shape"), "no"),
        **dict.fromkeys(("name", "secret", "token", "lower", "at", "owner_id"), "yes"),
    }
    assert found["id"].keys() == {"type", "null", "auto_increment"}
    assert "/*!80016 x */" in found["name"]["default"]
    assert "srid 4326" in found["shape"]
    assert "invisible" in found["secret"]
    assert squeezed(found["token"]["default"]) == "uuid_to_bin(uuid())"
    assert squeezed(found["lower"]["computed"]) == "lower(name)stored"
    assert squeezed(found["at"]["onupdate"]) == "current_timestamp(6)"


def test_keys_indexes_and_checks() -> None:
    found = definitions()
    assert found[key(PRIMARY_KEY, "PRIMARY")].columns == ("id",)
    assert found[key(INDEX, "uq")].attributes["unique"] == "yes"
    hidden = found[key(INDEX, "ix_lower")]
    assert (hidden.columns, hidden.attributes["more"]) == (None, "invisible")
    assert squeezed(hidden.attributes["sql"]) == "lower(name),iddesc"
    assert found[key(INDEX, "words")].attributes["more"] == "fulltext with parser ngram"
    assert found[key(CHECK, "ck")].attributes == {"sql": "id > 0", "more": "not enforced"}
    owner = found[key(FOREIGN_KEY, "fk")]
    assert owner.refers == Reference(Place(None, "owner"), ("id",))
    assert owner.parts["ondelete"] == "CASCADE"


def test_options_of_a_table() -> None:
    attributes = definitions()[key(TABLE)].attributes
    assert attributes["engine"] == "InnoDB"
    assert attributes["comment"] == "pets"
    assert "auto_increment" not in attributes
    assert attributes["more"].split() == ["PARTITION", "BY", "HASH", "(`id`)", "PARTITIONS", "4"]
