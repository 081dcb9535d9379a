"""A web server on 127.0.0.1 that serves one file well and badly, for test_data_fetch.c.

usage: range_server.py FILE LOG

Prints its port. The first part of a path says how to serve:

    /ok/...       whole, or from where a Range header says
    /plain/...    whole, Range or not
    /cut/...      says the right length, closes the connection after two thirds
    /flip/...     one bit of the middle is wrong; Range is respected
    /short/...    a tenth is missing, and the length says so
    /long/...     a tenth more than there should be
    /moved/...    redirects to /ok/
    /elsewhere/.. redirects to a file: address
    other         404

Each request is one line in LOG: path, a space, the Range header or "-".
"""
import http.server
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def redirect(self, address):
        self.send_response(302)
        self.send_header("Location", address)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def reply(self, body, ranged, cut):
        total, first = len(body), 0
        wanted = self.headers.get("Range", "")
        if ranged and wanted.startswith("bytes="):
            first = int(wanted[6:].split("-")[0])
            if first >= total:
                self.send_response(416)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{total - 1}/{total}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(total - first))
        self.end_headers()
        self.wfile.write(body[first : total * 2 // 3] if cut else body[first:])
        self.close_connection = cut

    def do_GET(self):
        with open(sys.argv[2], "a", encoding="ascii") as log:
            log.write(f"{self.path} {self.headers.get('Range', '-')}\n")
        with open(sys.argv[1], "rb") as f:
            body = bytearray(f.read())
        how = self.path.split("/")[1]
        if how == "moved":
            self.redirect("/ok/file")
        elif how == "elsewhere":
            self.redirect("file://" + sys.argv[1])
        elif how in ("ok", "plain", "cut", "flip", "short", "long"):
            if how == "flip":
                body[len(body) // 2] ^= 1
            elif how == "short":
                del body[len(body) * 9 // 10 :]
            elif how == "long":
                body += bytes(len(body) // 10)
            self.reply(bytes(body), how != "plain", how == "cut")
        else:
            self.send_error(404)


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        """A client that hangs up is part of the tests."""


with Server(("127.0.0.1", 0), Handler) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
