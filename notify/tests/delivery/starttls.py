"""A mail server with STARTTLS and login: starttls.py CERTIFICATE KEY USER PASSWORD.

Prints its port as the first line, then each mail that arrives as one line of JSON. Ends with its standard input."""
import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

certificate, key, user, password = sys.argv[1:5]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)


def authenticate(server, session, envelope, mechanism, data):
    fits = (data.login, data.password) == (user.encode(), password.encode())
    return AuthResult(success=fits, handled=fits)


class Keeper:
    async def handle_DATA(self, server, session, envelope):
        mail = {"tls": session.ssl is not None, "login": session.authenticated, "to": envelope.rcpt_tos}
        print(json.dumps({**mail, "data": envelope.content.decode()}), flush=True)
        return "250 OK"


def session():
    return SMTP(Keeper(), hostname="localhost", tls_context=context, require_starttls=True, auth_required=True,
                authenticator=authenticate)


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(session, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
