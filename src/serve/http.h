/* http.h - the live page on the loopback address, over libmicrohttpd; http_absent.c stands in for
 * http.c where that is not installed. */
#ifndef KILN_SERVE_HTTP_H
#define KILN_SERVE_HTTP_H

#include <stdbool.h>

#include "serve/site.h"

struct http;

/* Whether this kiln can serve. */
bool http_available(void);

/* Starts answering for `site` (borrowed) on 127.0.0.1 and `*port`; 0 takes a free one, which *port
 * then is. One thread answers, one request after the other. NULL and a sentence in e if it cannot:
 * EXIT_USAGE when the port is taken. */
struct http *http_start(struct site *site, int *port, struct err *e);

/* Finishes the request that is being answered and stops. NULL is fine. */
void http_stop(struct http *h);

#endif
