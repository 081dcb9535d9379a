/* http.c - see http.h. */
#include "serve/http.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

/* A request's line and headers must fit into this; longer ones are refused by the library. */
enum { CONNECTION_BYTES = 64 << 10, CONNECTIONS = 64, TIMEOUT_SECONDS = 15 };

struct http {
    struct MHD_Daemon *daemon;
    struct site *site;
};

bool http_available(void)
{
    return true;
}

static enum MHD_Result add_parameter(void *context, enum MHD_ValueKind kind, const char *name,
                                     const char *value)
{
    struct site_request *q = context;
    (void)kind;
    if (q->parameter_count == SITE_PARAMETERS) {
        q->too_many = true;
        return MHD_NO;
    }
    q->parameters[q->parameter_count++] =
        (struct site_parameter){name ? name : "", value ? value : ""};
    return MHD_YES;
}

static bool announces_body(struct MHD_Connection *connection)
{
    const char *length =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");
    return (length && strcmp(length, "0") != 0) ||
           MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Transfer-Encoding");
}

static enum MHD_Result send_response(struct MHD_Connection *connection, struct site_response *a)
{
    /* Beside the policy in the page: not to be framed, guessed at, kept, or read by others. */
    static const char *const headers[][2] = {
        {"X-Content-Type-Options", "nosniff"},
        {"X-Frame-Options", "DENY"},
        {"Content-Security-Policy", "frame-ancestors 'none'"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Referrer-Policy", "no-referrer"},
        {"Cache-Control", "no-store"},
    };
    static char nothing[1];
    struct MHD_Response *response = MHD_create_response_from_buffer(
        a->bytes, a->body ? a->body : nothing,
        a->body ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", a->type);
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        MHD_add_response_header(response, headers[i][0], headers[i][1]);
    enum MHD_Result rc = MHD_queue_response(connection, (unsigned)a->status, response);
    MHD_destroy_response(response);
    return rc;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *url, const char *method, const char *version,
                                  const char *upload, size_t *upload_bytes, void **state)
{
    struct http *h = context;
    struct site_response answer;
    (void)version;
    (void)upload;
    (void)state;
    if (*upload_bytes) {
        *upload_bytes = 0;
        return MHD_NO;
    }
    struct site_request *q = xcalloc(1, sizeof *q);
    q->method = method;
    q->path = url;
    q->host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");
    q->has_body = announces_body(connection);
    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, add_parameter, q);
    site_answer(h->site, q, &answer);
    free(q);
    return send_response(connection, &answer);
}

struct http *http_start(struct site *site, int *port, struct err *e)
{
    struct http *h = xcalloc(1, sizeof *h);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    h->site = site;
    h->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD, (uint16_t)*port, NULL, NULL, on_request, h,
        MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_BYTES, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_SECONDS, MHD_OPTION_END);
    if (!h->daemon) {
        err_set(e, EXIT_USAGE, "cannot listen on 127.0.0.1 port %d: it is taken, or not allowed",
                *port);
        free(h);
        return NULL;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_BIND_PORT);
    if (info)
        *port = info->port;
    return h;
}

void http_stop(struct http *h)
{
    if (!h)
        return;
    MHD_stop_daemon(h->daemon);
    free(h);
}
