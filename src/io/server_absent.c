/* server_absent.c - in place of server.c in a build without libmicrohttpd
 *
 * No server can be opened, so nobody has a request to hand to the rest. */
#include "io/server.h"

#include <errno.h>

int calm_server_open(const calm_server_opts *opts, calm_server **ret_server)
{
    return calm_fail(-ENOSYS,
        "this calm was built without a server\n"
        "hint: install libmicrohttpd-dev and build it again");
}

int calm_server_run(calm_server *server)
{
    return -ENOSYS;
}

void calm_server_close(calm_server *server)
{
}

int calm_server_port(const calm_server *server)
{
    return 0;
}

const char *calm_server_name(const calm_server *server)
{
    return "";
}

bool calm_server_draining(const calm_server *server)
{
    return false;
}

size_t calm_server_connections(const calm_server *server)
{
    return 0;
}

size_t calm_server_requests(const calm_server *server)
{
    return 0;
}

const char *calm_request_method(const calm_request *request)
{
    return "";
}

const char *calm_request_path(const calm_request *request)
{
    return "";
}

const char *calm_request_query(const calm_request *request)
{
    return "";
}

const char *calm_request_header(const calm_request *request, const char *name)
{
    return NULL;
}

const char *calm_request_body(const calm_request *request, size_t *ret_len)
{
    if (ret_len)
        *ret_len = 0;
    return "";
}

bool calm_request_gone(const calm_request *request)
{
    return true;
}

int calm_respond(calm_request *request, int status, const char *type,
    const void *data, size_t len)
{
    return -ENOSYS;
}

int calm_respond_bytes(
    calm_request *request, int status, const char *type, calm_bytes *body)
{
    return -ENOSYS;
}

int calm_respond_header(
    calm_request *request, const char *name, const char *value)
{
    return -ENOSYS;
}

void calm__respond_cut(calm_request *request)
{
}

void calm__respond_reset(calm_request *request)
{
}

void calm__respond_shorten(calm_request *request, size_t bytes)
{
}
