# SPDX-License-Identifier: Apache-2.0
"""Who may sign: long-lived keys, and sets of keys with a token and an end."""
import itertools
import secrets


class Keys:
    def __init__(self, id, secret, principal, token="", expires=None):
        self.id, self.secret, self.principal, self.token, self.expires = id, secret, principal, token, expires


class Identity:
    """USER is there from the start, long-lived."""
    USER = ("AKIAFAKEFAKEFAKEFAKE", "fake/secret+of=the+user")

    def __init__(self, clock):
        self.clock, self.known, self.issued, self.numbers = clock, {}, [], itertools.count(1)
        self.add(Keys(*self.USER, "arn:aws:iam::123456789012:user/fake"))

    def add(self, keys):
        self.known[keys.id] = keys
        return keys

    def issue(self, role, seconds, token_bytes=300):
        """A new set for a role, good for so long. Its end is a whole second, as it is told to the client."""
        n = next(self.numbers)
        keys = Keys(f"ASIAFAKE{n:012d}", secrets.token_urlsafe(30), f"arn:aws:sts::123456789012:assumed-role/{role}/i-fake",
                    f"{n}/" + secrets.token_urlsafe(token_bytes) + "==", int(self.clock.now() + seconds))
        self.issued.append(keys)
        return self.add(keys)

    def revoke(self, keys):
        self.known.pop(keys.id, None)
