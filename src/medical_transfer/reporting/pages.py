"""How templates become pages: every text of a user is escaped, and a name that the template misspells is an error."""

from __future__ import annotations

import jinja2


def environment_of_pages() -> jinja2.Environment:
    """The environment of all templates of this room."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("medical_transfer.reporting", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
