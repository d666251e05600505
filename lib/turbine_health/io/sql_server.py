"""Spark's Thrift server on the lake's tables, by name and for reading only."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import MutableMapping
from typing import Any

from pyspark import java_gateway
from pyspark.sql import SparkSession

from turbine_health.io.session import jars_folder
from turbine_health.io.sql_names import naming_statements, tables_of
from turbine_health.redaction import is_secret
from turbine_health.settings import SparkSettings

logger = logging.getLogger("turbine_health")

LOOK_FOR_TABLES_SECONDS = 30
# What a client may ask beside queries. Everything else that is a command is refused, new ones of later
# versions too.
READING_COMMANDS = frozenset({
    "DescribeColumn", "DescribeColumnCommand", "DescribeDatabaseCommand", "DescribeDeltaDetailCommand",
    "DescribeDeltaHistory", "DescribeDeltaHistoryCommand", "DescribeFunctionCommand", "DescribeNamespace",
    "DescribeQueryCommand", "DescribeRelation", "DescribeTableCommand", "ExplainCommand", "SetCatalogAndNamespace",
    "SetCommand", "SetNamespaceCommand", "ShowCatalogsCommand", "ShowColumns", "ShowColumnsCommand", "ShowCreateTable",
    "ShowCreateTableCommand", "ShowCurrentNamespaceCommand", "ShowFunctions", "ShowFunctionsCommand", "ShowNamespaces",
    "ShowNamespacesCommand", "ShowPartitions", "ShowTableProperties", "ShowTablePropertiesCommand", "ShowTables",
    "ShowTablesCommand", "ShowViews", "ShowViewsCommand",
})  # fmt: skip
# A query that hands its rows to a shell command is no command to Spark.
NOT_READING_NODES = frozenset({"ScriptTransformation"})
# These call any static method of Java.
NOT_READING_FUNCTIONS = ("java_method", "reflect", "try_reflect")
# `${env:NAME}` would show the server's environment, csv.`/path` any file that it can read.
LOCKED = {"spark.sql.variable.substitute": "false", "spark.sql.runSQLOnFiles": "false"}
# No client sets these, neither by SET nor in the address that it connects to. The others decide what SET hides.
LOCKED_KEYS = (*LOCKED, "spark.redaction.regex", "spark.sql.redaction.options.regex", "spark.sql.redaction.string.regex")
# What a lake in an object store is opened with.
STORE_VARIABLES = ("AWS_", "AZURE_", "GOOGLE_")


def prepared_for_clients(settings: SparkSettings, host: str, port: int) -> SparkSettings:
    """The session's settings with what a server needs before the JVM starts; `host` and `port` are to listen on."""
    # The threads that serve clients see only what is on the JVM's own class path, where these stand before
    # Spark's: its own Jackson is newer and must stay.
    jars = sorted(str(path) for path in (jars_folder() / "jars").glob("*.jar") if "jackson" not in path.name)
    conf = {
        "spark.driver.extraClassPath": os.pathsep.join(jars),
        "spark.sql.catalogImplementation": "in-memory",
        "spark.hadoop.hive.server2.thrift.bind.host": host,
        "spark.hadoop.hive.server2.thrift.port": str(port),
        "spark.driver.extraJavaOptions": "-Dderby.stream.error.file=/dev/null",
    }
    return settings.model_copy(update={"conf": {**conf, **settings.conf, **LOCKED}})


def forget_secrets(environ: MutableMapping[str, str], root: str) -> list[str]:
    """Take out variables named like secrets before the server starts; returns their names.

    Args:
        environ: The environment.
        root: Where the lake is. In an object store (`s3a://…`) the variables that open it stay.
    """
    needed = STORE_VARIABLES if "://" in root else ()
    forgotten = [name for name in environ if is_secret(name) and not name.startswith(needed)]
    for name in forgotten:
        del environ[name]
    return forgotten


def serve_until_stopped(spark: SparkSession, root: str, address: str) -> str:
    """Serve until SIGTERM or Ctrl-C; returns a sentence on what was served.

    The server has a session of its own, which names the tables. Its clients' sessions are made from
    that one and share its names; each of theirs, and only theirs, checks every statement before it runs.

    Raises:
        TableError: There is no table at all.
    """
    jvm: Any = spark._jvm
    start_callbacks: Any = java_gateway.ensure_callback_server_started
    start_callbacks(spark.sparkContext._gateway)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _lock(jvm)
    _drop_functions(jvm)
    builder = jvm.org.apache.spark.sql.classic.SparkSession.builder()
    session = builder.withExtensions(_Extensions(jvm)).create()
    named = _name_tables(session, root, set())
    thrift = getattr(getattr(jvm.org.apache.spark.sql.hive.thriftserver, "HiveThriftServer2$"), "MODULE$")
    server = thrift.startWithSparkSession(session, False)
    logger.info("serving %d tables for reading at jdbc:hive2://%s/ — stop with Ctrl-C", len(named), address)
    try:
        while True:
            time.sleep(LOOK_FOR_TABLES_SECONDS)
            named |= _name_tables(session, root, named)
    except KeyboardInterrupt:
        server.stop()
    return f"served {len(named)} tables at {address}"


def _name_tables(session: Any, root: str, known: set[str]) -> set[str]:
    """Make tables known that are not yet; returns their names."""
    tables = [table for table in tables_of(root) if f"{table.layer}.{table.name}" not in known]
    for statement in naming_statements(tables) if tables else []:
        session.sql(statement)
    return {f"{table.layer}.{table.name}" for table in tables}


def _lock(jvm: Any) -> None:
    """Make Spark take these for settings that stand as long as the process does."""
    settings = getattr(getattr(jvm.org.apache.spark.sql.internal, "SQLConf$"), "MODULE$")
    for key in LOCKED_KEYS:
        settings.registerStaticConfigKey(key)


def _drop_functions(jvm: Any) -> None:
    """Forget, in the whole process, functions that do more than compute."""
    catalyst = jvm.org.apache.spark.sql.catalyst
    for name in NOT_READING_FUNCTIONS:
        catalyst.analysis.FunctionRegistry.builtin().dropFunction(catalyst.FunctionIdentifier(name))


class _Extensions:
    """scala.Function1: adds the check to every session of the server."""

    def __init__(self, jvm: Any) -> None:
        self._rules = _RulePerSession(jvm)

    def apply(self, extensions: Any) -> None:
        extensions.injectCheckRule(self._rules)

    class Java:
        implements = ("scala.Function1",)


class _RulePerSession:
    """scala.Function1: the check that a session makes of its statements."""

    def __init__(self, jvm: Any) -> None:
        self._jvm = jvm
        self._own: Any = None

    def apply(self, session: Any) -> _Check:
        # The first session with these rules is the server's own, which names the tables.
        self._own = self._own or session
        return _Check(self._jvm, checks=not session.equals(self._own))

    class Java:
        implements = ("scala.Function1",)


class _Check:
    """scala.Function1: refuses a plan with anything in it that does more than read."""

    def __init__(self, jvm: Any, checks: bool) -> None:
        self._jvm = jvm
        self._checks = checks

    def apply(self, plan: Any) -> None:
        if not self._checks:
            return
        nodes = _Names()
        plan.foreachWithSubqueries(nodes)
        top = plan.getClass().getSimpleName()
        refused = sorted(nodes.seen & NOT_READING_NODES)
        if plan.containsPattern(self._command()) and top not in READING_COMMANDS:
            refused.append(top)
        if refused:
            raise PermissionError(f"this server is for reading only; it does not run {', '.join(refused)}")
        if top == "SetCommand" and (key := _key_to_set(plan)):
            raise PermissionError(f"this server is for reading only; it does not set {key}")

    def _command(self) -> Any:
        return self._jvm.org.apache.spark.sql.catalyst.trees.TreePattern.COMMAND()

    class Java:
        implements = ("scala.Function1",)


def _key_to_set(command: Any) -> str | None:
    """What a SET would give a value; None where it only asks."""
    asked = command.kv()
    return str(asked.get()._1()) if asked.isDefined() and asked.get()._2().isDefined() else None


class _Names:
    """scala.Function1: keeps what the nodes of a plan are called."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def apply(self, node: Any) -> None:
        self.seen.add(node.getClass().getSimpleName())

    class Java:
        implements = ("scala.Function1",)
