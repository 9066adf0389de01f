"""The declarative base, and the column types every table shares."""

from __future__ import annotations

from typing import Annotated, Any

from sqlalchemy import BigInteger, MetaData, String, Text
from sqlalchemy.dialects.mysql import LONGTEXT
from sqlalchemy.orm import DeclarativeBase, mapped_column

Id = Annotated[str, mapped_column(String(40))]
Millis = Annotated[int, mapped_column(BigInteger)]
"""Milliseconds since 1970, UTC."""
LongText = Annotated[str, mapped_column(Text().with_variant(LONGTEXT(), "mysql", "mariadb"))]

TABLE = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}


class Base(DeclarativeBase):
    """Constraint names are fixed, so that migrations can address them on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    __table_args__: Any = TABLE
