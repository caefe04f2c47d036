# SPDX-License-Identifier: Apache-2.0
"""Forms in, XML out, as the query and ec2 protocols have them."""
import urllib.parse
from xml.sax.saxutils import escape


def nest(text):
    """"A=1&B.member.1.C=2&F.1.V.1=3" -> {"A": "1", "B": [{"C": "2"}], "F": [{"V": ["3"]}]}."""
    root = {}
    for name, value in urllib.parse.parse_qsl(text, keep_blank_values=True):
        at, keys = root, [k for k in name.split(".") if k != "member"]
        for key in keys[:-1]:
            at = at.setdefault(key, {})
        at[keys[-1]] = value
    return {k: _listed(v) for k, v in root.items()}


def _listed(v):
    if not isinstance(v, dict):
        return v
    if all(k.isdigit() for k in v):
        return [_listed(v[k]) for k in sorted(v, key=int)]
    return {k: _listed(x) for k, x in v.items()}


def listed(value):
    """A list parameter: absent and empty ones are []."""
    return value if isinstance(value, list) else []


def true(value):
    return value == "true"


def xml(value, item):
    """Members of a dict as elements, those of a list as <item>; None is left out."""
    if isinstance(value, dict):
        return "".join(f"<{k}>{xml(v, item)}</{k}>" for k, v in value.items() if v is not None)
    if isinstance(value, (list, tuple)):
        return "".join(f"<{item}>{xml(v, item)}</{item}>" for v in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(str(value))
