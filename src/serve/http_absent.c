/* http_absent.c - stands in for http.c where libmicrohttpd is not installed. */
#include <stddef.h>

#include "serve/http.h"

bool http_available(void)
{
    return false;
}

struct http *http_start(struct site *site, int *port, struct err *e)
{
    (void)site;
    (void)port;
    err_set(e, EXIT_FAILED, "this kiln was built without libmicrohttpd and cannot serve pages; "
                            "'kiln report' and 'kiln watch' do without");
    return NULL;
}

void http_stop(struct http *h)
{
    (void)h;
}
