"""An application that tells whose access token it is sent, with nothing but the keys that Latchkey publishes.

    ISSUER=http://localhost:3000 PORT=4000 python3 verify.py

Nobody is asked about a single token, so what happened after it was signed is not known here: a session that was ended, or an
account that was disabled, is believed until the token expires, and `confirmed` stays false until the client refreshes.
"""

import json
import os
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from time import monotonic
from urllib.request import urlopen

import jwt

# The PUBLIC_URL of Latchkey to the letter, for that is what its tokens name as their issuer and audience.
ISSUER = os.environ.get("ISSUER", "http://localhost:3000")
PORT = int(os.environ.get("PORT", "4000"))

BEARER = re.compile(r"Bearer ([\w-]+\.[\w-]+\.[\w-]+)", re.ASCII | re.IGNORECASE)


class PublishedKeys(jwt.PyJWKClient):
    """The keys, kept for five minutes: a new one is published ten minutes before it signs.

    One that is unknown all the same is looked for at once, but forgers must not make us ask all the time.
    """

    cooldown_seconds = 1

    def __init__(self, uri):
        super().__init__(uri, lifespan=300)
        self.lock = Lock()
        self.fetched_at = float("-inf")

    def find(self, kid):
        """The key of this name; None when there is none."""
        with self.lock:
            key = self.match_kid(self.get_signing_keys(), kid)
            if key is None and monotonic() - self.fetched_at >= self.cooldown_seconds:
                key = self.match_kid(self.get_signing_keys(refresh=True), kid)
            return key

    def fetch_data(self):
        # The one of older versions waits without end, and forgets the keys that it has when it cannot fetch them anew.
        with urlopen(self.uri, timeout=5) as response:
            keys = json.load(response)
        self.jwk_set_cache.put(keys)
        self.fetched_at = monotonic()
        return keys


KEYS = PublishedKeys(f"{ISSUER}/.well-known/jwks.json")


def user_of(authorization):
    """The claims of a genuine token within its time; None for whatever else an `Authorization` header holds."""
    found = BEARER.fullmatch(authorization or "")
    if found is None:
        return None
    token = found[1]
    try:
        header = jwt.get_unverified_header(token)
        # PyJWT does not look at the type.
        key = KEYS.find(header.get("kid")) if header.get("typ") == "at+jwt" else None
        if key is None:
            return None
        return jwt.decode(
            token,
            key.key,
            algorithms=["ES256"],
            issuer=ISSUER,
            audience=ISSUER,
            leeway=5,  # seconds
            options={"require": ["exp", "iat", "sub", "sid"]},
        )
    # The latter is for a header of nothing but brackets.
    except (jwt.InvalidTokenError, RecursionError):
        return None


def answer_to(headers):
    try:
        user = user_of(headers["Authorization"])
    except Exception as error:  # It says nothing about the token: its key could not be fetched.
        print(repr(error), file=sys.stderr)
        return 503, {"code": "unavailable"}
    if user is None:
        return 401, {"code": "unauthenticated"}
    # Nobody knows yet whether the address is theirs.
    if user.get("confirmed") is not True:
        return 403, {"code": "unconfirmed"}
    return 200, {"user": user["sub"], "username": user["username"]}


class Application(BaseHTTPRequestHandler):
    def do_GET(self):
        status, body = answer_to(self.headers)
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", PORT), Application)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
