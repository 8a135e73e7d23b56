"""What expressions may do with a column of milliseconds: the database sees a number where Django means a time.

A time in milliseconds meets other expressions in one of two ways: its lookups turn an expression of the type
`DateTimeField` (``Now() - timedelta(days=30)``) into milliseconds, so that the index on the column serves; and
``F("updated_at__datetime")`` (`AsDateTime`) is the column as the database's own datetime, for all that Django does
with one. Everything else is a `FieldError`: SQLite would compare the number with a text, of which it is always the
less.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from django.conf import settings
from django.core.exceptions import FieldError
from django.db import NotSupportedError, models
from django.db.models.expressions import Case, Col, CombinedExpression, ExpressionList, Value, When
from django.db.models.functions import Now
from django.db.models.functions.datetime import TruncBase
from django.db.models.lookups import (
    Exact,
    GreaterThan,
    GreaterThanOrEqual,
    In,
    IsNull,
    LessThan,
    LessThanOrEqual,
    Lookup,
    Range,
)
from django.utils.functional import cached_property

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    Field = models.Field[Any, Any]
else:
    Field = models.Field

#: milliseconds from the year 1 to 1970, and to the end of the year 9999
BEFORE_EPOCH, LAST = 62_135_596_800_000, 253_402_300_799_999

TEMPORAL = (models.DateField, models.TimeField, models.DurationField)


class Milliseconds(Field):
    """A number of milliseconds for the database."""

    #: the type of expressions that lookups and assignments turn into milliseconds
    convertible: type[Any] | tuple[()] = ()
    #: what to write instead of an expression that is refused
    advice = ""

    def get_internal_type(self) -> str:
        return "BigIntegerField"

    def whole_milliseconds(self, value: Any, *, up: bool) -> Any:
        """The whole milliseconds of a Python value, its microseconds rounded down or up."""
        raise NotImplementedError

    def get_prep_value(self, value: Any) -> Any:
        if value is None or hasattr(value, "resolve_expression"):
            return value
        return self.whole_milliseconds(value, up=False)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        return value if prepared else self.get_prep_value(value)

    def get_lookup(self, lookup_name: str) -> Any:
        """Only those that mean something: the text of a number begins with nothing."""
        found = super().get_lookup(lookup_name)
        return found if found and issubclass(found, (MillisecondsLookup, IsNull)) else None

    def get_col(self, alias: Any, output_field: Any = None) -> Any:
        if alias == self.model._meta.db_table and output_field in (None, self):
            return self.cached_col
        return MillisecondsCol(alias, self, output_field)

    @cached_property
    def cached_col(self) -> Any:
        return MillisecondsCol(self.model._meta.db_table, self)


class MillisecondsCol(Col):
    """Looks at the query that it is a part of before it is written into its SQL."""

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        query = compiler.query
        assigned = (value for _, _, value in getattr(query, "values", ()))
        for expression in (*query.annotations.values(), query.where, *assigned):
            refuse_mixtures(expression)
        return super().as_sql(compiler, connection)


class AsDateTime(models.Transform):
    """``F("updated_at__datetime")``: milliseconds as the database's datetime, NULL outside the years 1 to 9999."""

    lookup_name = "datetime"
    output_field = models.DateTimeField()

    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        return self._sql(compiler, "TO_TIMESTAMP({0} / 1000) + MOD({0}, 1000) * INTERVAL '1 millisecond'")

    def as_sqlite(self, compiler: Any, connection: Any, **extra_context: Any) -> Any:
        # As Django writes a datetime into SQLite: without a fraction, or with six digits.
        since_year_1 = f"({{0}} + {BEFORE_EPOCH})"
        fraction = f"{since_year_1} - {since_year_1} / 1000 * 1000"
        zone = ", 'localtime'" if keeps_local_times(connection) else ""
        return self._sql(
            compiler,
            f"DATETIME({since_year_1} / 1000 - {BEFORE_EPOCH // 1000}, 'unixepoch'{zone})"
            f" || CASE {fraction} WHEN 0 THEN '' ELSE '.' || SUBSTR('000' || ({fraction}), -3) || '000' END",
        )

    def _sql(self, compiler: Any, template: str) -> Any:
        sql, params = compiler.compile(self.lhs)
        template = f"CASE WHEN {{0}} BETWEEN {-BEFORE_EPOCH} AND {LAST} THEN {template} END"
        return f"({template.format(sql)})", [*params] * template.count("{0}")


class AsMilliseconds(models.Func):
    """A datetime of the database as milliseconds; microseconds are rounded down, or ``up``."""

    arity = 1
    output_field = models.BigIntegerField()

    def __init__(self, expression: Any, *, up: bool = False) -> None:
        super().__init__(expression)
        self.up = up

    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        rounded = "CEIL" if self.up else "FLOOR"
        return self.as_sql(
            compiler,
            connection,
            template=f"CAST({rounded}(EXTRACT(EPOCH FROM CAST(%(expressions)s AS timestamptz)) * 1000) AS bigint)",
        )

    def as_sqlite(self, compiler: Any, connection: Any, **extra_context: Any) -> Any:
        sql, params = compiler.compile(self.get_source_expressions()[0])
        # Now() is in UTC there, whatever the times are in.
        local = keeps_local_times(connection) and not any(isinstance(each, Now) for each in self.flatten())
        zone = ", 'utc'" if local else ""
        # The text is cut behind the milliseconds, which a julian day tells apart; SQLite would round the rest.
        days = f"(JULIANDAY(SUBSTR({sql}, 1, 23){zone}) - 2440587.5)"
        whole = f"CAST(ROUND({days} * 86400000) AS INTEGER)"
        if not self.up:
            return whole, params
        return f"({whole} + (CAST(SUBSTR({sql}, 24) AS INTEGER) > 0))", [*params, *params]


def keeps_local_times(connection: BaseDatabaseWrapper) -> bool:
    """Whether the texts that SQLite has for datetimes are in the project's time zone."""
    if settings.USE_TZ and connection.timezone_name != "UTC":
        raise NotSupportedError("a SQLite database with a TIME_ZONE of its own cannot turn times into milliseconds")
    return not settings.USE_TZ


def in_milliseconds(expression: Any, field: Any, *, up: bool = False) -> Any:
    """The expression as a value of the field; `FieldError` for one of another type."""
    if isinstance(_type(expression), field.convertible):
        if any(isinstance(each, TruncBase) for each in _walk(expression)):
            raise FieldError(f"What is truncated in a time zone has no time zone any more. {field.advice}")
        return AsMilliseconds(expression, up=up)
    return same_type(expression, field)


def same_type(expression: Any, field: Any) -> Any:
    """The expression, whose type is the field's; `FieldError` for another one."""
    refuse_mixtures(expression)
    try:
        type_ = expression.output_field
    except FieldError as error:
        raise FieldError(f"{error} {field.advice}") from error
    if not isinstance(type_, type(field)):
        raise FieldError(f"{type(expression).__name__} is a {type(type_).__name__}. {field.advice}")
    return expression


def refuse_mixtures(expression: Any) -> None:
    """`FieldError` where a part of the expression takes milliseconds for another kind of time, or the other way."""
    for part in _walk(expression):
        if isinstance(part, AsDateTime | AsMilliseconds | MillisecondsLookup):
            continue
        result = _type(part)
        if isinstance(part, Case) and isinstance(result, Milliseconds):
            _refuse_branches(part, result)
        types = [_type(source) for source in _operands(part)]
        ours = [type_ for type_ in types if isinstance(type_, Milliseconds)]
        others = [type_ for type_ in types if isinstance(type_, TEMPORAL)]
        if (
            (ours and others and isinstance(part, Lookup | CombinedExpression))
            or (ours and isinstance(result, TEMPORAL))
            or (others and isinstance(result, Milliseconds))
        ):
            advice = (ours[0] if ours else cast("Milliseconds", result)).advice
            raise FieldError(f"{type(part).__name__} takes milliseconds for another type. {advice}")


def _refuse_branches(case: Any, field: Milliseconds) -> None:
    """Those of another type: `bulk_update` declares a type for whatever the instances have."""
    for branch in _sources(case):
        value = branch.result if isinstance(branch, When) else branch
        if not (isinstance(value, Value) and value.value is None):
            same_type(value, field)


def _operands(part: Any) -> Iterator[Any]:
    for source in _sources(part):
        if not isinstance(source, ExpressionList):
            yield source
        elif isinstance(part, Lookup):  # the right side of IN and BETWEEN, not a window's PARTITION BY
            yield from _sources(source)


def _walk(expression: Any) -> Iterator[Any]:
    yield expression
    for source in _sources(expression):
        yield from _walk(source)


def _sources(expression: Any) -> list[Any]:
    sources: list[Any] = getattr(expression, "get_source_expressions", list)()
    return [source for source in sources if source is not None]


def _type(expression: Any) -> Any:
    try:
        return getattr(expression, "output_field", None)
    except FieldError:  # such as a list of columns of several types
        return None


class MillisecondsLookup(Lookup):
    """Compares with values of the field, and with expressions that can be turned into milliseconds."""

    #: a whole millisecond is before a time within the next one, and not at or after it
    up = False

    def get_prep_lookup(self) -> Any:
        field: Any = self.lhs.output_field
        if self.up and self.rhs is not None and not hasattr(self.rhs, "resolve_expression"):
            return field.whole_milliseconds(self.rhs, up=True)
        return super().get_prep_lookup()

    def process_rhs(self, compiler: Any, connection: Any) -> Any:
        if self.rhs_is_direct_value():
            return super().process_rhs(compiler, connection)
        lookup = self.copy()
        lookup.rhs = self.convert(self.rhs)
        return super(MillisecondsLookup, lookup).process_rhs(compiler, connection)

    def convert(self, rhs: Any) -> Any:
        return in_milliseconds(rhs, self.lhs.output_field, up=self.up)


@Milliseconds.register_lookup
class MillisecondsExact(MillisecondsLookup, Exact):
    pass


@Milliseconds.register_lookup
class MillisecondsBefore(MillisecondsLookup, LessThan):
    up = True


@Milliseconds.register_lookup
class MillisecondsUntil(MillisecondsLookup, LessThanOrEqual):
    pass


@Milliseconds.register_lookup
class MillisecondsAfter(MillisecondsLookup, GreaterThan):
    pass


@Milliseconds.register_lookup
class MillisecondsFrom(MillisecondsLookup, GreaterThanOrEqual):
    up = True


@Milliseconds.register_lookup
class MillisecondsIn(MillisecondsLookup, In):
    def convert(self, rhs: Any) -> Any:
        if not isinstance(rhs, ExpressionList):
            return same_type(rhs, self.lhs.output_field)
        return ExpressionList(*(_beside_values(each, self.lhs.output_field) for each in _sources(rhs)))


@Milliseconds.register_lookup
class MillisecondsRange(MillisecondsLookup, Range):
    def get_prep_lookup(self) -> Any:
        """The lower end is rounded up: no time before it is in the range."""
        prepared = super().get_prep_lookup()
        low, field = self.rhs[0], cast("Milliseconds", self.lhs.output_field)
        if low is not None and not hasattr(low, "resolve_expression"):
            low = field.whole_milliseconds(low, up=True)
            if isinstance(prepared, ExpressionList):
                return ExpressionList(low, *_sources(prepared)[1:])
            prepared[0] = low
        return prepared

    def convert(self, rhs: Any) -> Any:
        low, high = _sources(rhs)
        field = self.lhs.output_field
        return ExpressionList(_beside_values(low, field, up=True), _beside_values(high, field))


def _beside_values(expression: Any, field: Any, *, up: bool = False) -> Any:
    """As `in_milliseconds`; in a list with expressions, a Python value is a number that was prepared already."""
    if isinstance(expression, Value) and type(expression.value) is int:
        return expression
    return in_milliseconds(expression, field, up=up)
