/* io/http.h - the HTTP client from inside
 *
 * A task that sends a request fills an exchange on its stack and asks the
 * loop's side to start it. Everything of libcurl happens there, on the loop's
 * own stack, in one of four places: the pump, to which tasks ask; a socket
 * that is ready; an alarm; a name that was found. Each ends with a call of
 * calm__http_settle().
 *
 *     task:  ASKED ----> NAMING ----> RUNNING ----> ENDED -> the task goes on
 *                |     a look-up    libcurl has it    ^
 *                +-- pump --+---------> ... ----------+  calm__http_end()
 *
 * calm__http_end() makes the last move of every exchange, and is never called
 * from within libcurl. After it the loop's side knows nothing of the exchange,
 * and the exchange nothing of the client, which may be gone.
 */
#ifndef CALM_IO_HTTP_H
#define CALM_IO_HTTP_H

#include "base/fault.h"
#include "core/sched.h"
#include "io/address.h"

#include <calm/http.h>

#include <curl/curl.h>

enum {
    CALM__HTTP_SHOWN = 256,          /* bytes of a URL in a message */
    CALM__HTTP_REASON = 320,         /* bytes of a reason */
    CALM__HTTP_HEADERS = 256 << 10,  /* bytes of headers */
    CALM__HTTP_AHEAD = 256 << 10,    /* bytes that wait for on_body */
    CALM__HTTP_RATIO = 200,          /* decoded bytes to one received */
    CALM__HTTP_RATIO_FREE = 1 << 20, /* that may be of any ratio */
};

/* ---- URLs ---- */

struct calm__http_url {
    const char *text;
    bool secure;
    int port;
    bool numeric;   /* the host is an address */
    char host[256]; /* lower case; of an IPv6 address without brackets */
};

/* Takes TEXT apart, which must outlive it. Returns 0, or -EINVAL with what is
 * wrong in *ret_reason. */
int calm__http_url_parse(
    const char *text, struct calm__http_url *ret_url, const char **ret_reason);

/* "user:password@host:port" of LEN bytes into host and port, which stays what
 * it is where there is none. Returns as the one above. */
int calm__http_authority_parse(const char *text, size_t len,
    struct calm__http_url *url, const char **ret_reason);

/* ---- the environment's proxies ---- */

struct calm__http_proxies {
    char *http, *https, *none; /* NULL: there is none */
};

int calm__http_proxies_read(struct calm__http_proxies *proxies);
void calm__http_proxies_clear(struct calm__http_proxies *proxies);

/* The proxy for URL, NULL when it goes direct. */
const char *calm__http_proxy_for(
    const struct calm__http_proxies *proxies, const struct calm__http_url *url);

/* ---- an exchange ---- */

enum calm__http_state {
    CALM__HTTP_ASKED,   /* the task's, in the client's list of those who ask */
    CALM__HTTP_NAMING,  /* waits for a name; in the list of the live */
    CALM__HTTP_RUNNING, /* libcurl's; in the list of the live */
    CALM__HTTP_ENDED,   /* the task's */
};

/* What the limits of time look at. */
enum calm__http_phase {
    CALM__HTTP_QUEUED,     /* waits for a connection to be free */
    CALM__HTTP_CONNECTING, /* name, TCP, TLS: until `due` */
    CALM__HTTP_TALKING,    /* a byte must come or go now and then */
};

enum {
    CALM__HTTP_START = 1,
    CALM__HTTP_CANCEL = 2,
    CALM__HTTP_RESUME = 4,
};

struct calm__http_exchange {
    struct calm_http *client;
    const calm_http_request *request;
    calm_http_response *response;
    struct calm__http_url url;
    const char *proxy;
    bool strange; /* a redirect led to another origin: no secrets */
    bool drop;    /* the body is of a redirect that is followed */
    int redirects_left;
    char *next_url; /* where it is redirected to; of malloc() */
    const char *method;
    const void *body; /* NULL after a redirect that drops it */
    size_t body_len;

    enum calm__http_state state;
    enum calm__http_phase phase;
    int64_t due, spent_naming, last; /* last: when a byte came or went */
    curl_off_t uploaded;             /* as of the last look */
    int fd;                          /* of the connection; -1: not known */

    struct calm_task *task;
    bool parked;
    unsigned asked;
    struct calm__http_exchange *ask_next, *ask_previous;
    struct calm__http_exchange *live_next, *live_previous;
    struct calm__http_name *name; /* it waits for, or comes with */
    struct calm__http_handle *handle;

    /* What the headers said. */
    bool at_status, headers_over, encoded;
    int64_t length; /* -1: not known */
    int64_t decoded;

    /* Streams; see http_stream.c. */
    calm_bytes inbox;  /* came, and not yet told */
    calm_bytes told;   /* is being told */
    calm_bytes outbox; /* to be sent, from out_at on */
    size_t out_at;
    size_t out_total;
    bool in_paused, out_paused, out_over;

    int result;
    char reason[CALM__HTTP_REASON];
};

/* ---- handles: libcurl's easy ones, kept with their settings ---- */

struct calm__http_handle {
    struct calm__http_handle *next;
    CURL *easy;
    struct calm__http_exchange *exchange; /* NULL while it is in the pile */

    /* What it is set to, so that the next request sets only what differs. */
    char *url, *method;
    int kind;
    bool secure;
    char *proxy;
    unsigned version; /* of the addresses that it brings along */
    struct curl_slist *addresses;
    calm_bytes header_text;
    struct curl_slist *headers;
    char error[CURL_ERROR_SIZE];
};

/* Sets the handle to what the exchange sends. Returns 0 or -ENOMEM. */
int calm__http_handle_set(
    struct calm__http_handle *handle, struct calm__http_exchange *exchange);
struct calm__http_handle *calm__http_handle_new(struct calm_http *client);
void calm__http_handle_free(struct calm__http_handle *handle);

/* Looks whether method and headers can be sent. Returns 0 or -EINVAL with a
 * sentence. A task's. */
int calm__http_request_check(const calm_http_request *request);

/* ---- names ---- */

struct calm__http_name {
    struct calm__http_name *next;
    struct calm_http *client;
    struct calm__lookup *lookup; /* under way */
    calm_bytes addresses;        /* as CURLOPT_RESOLVE wants them */
    unsigned version, loaded;    /* the one here, and the one libcurl has */
    int64_t expires;
    int port;
    char host[];
};

/* Sees to it that the host to connect to is known. Returns 1 when it is (the
 * exchange may then come with a name whose addresses are news to libcurl), 0
 * when the exchange waits and calm__http_named() will be called, or an error
 * with its reason in the exchange. */
int calm__http_name_find(struct calm__http_exchange *exchange);
void calm__http_names_clear(struct calm_http *client);

/* ---- the client ---- */

struct calm__http_socket;

struct calm_http {
    struct calm__post post; /* first: the two are cast to each other */
    bool posted, closing;
    struct calm__loop *loop;
    CURLM *multi;
    bool kick;                 /* libcurl wants to be called at once */
    bool refuses;              /* a piece, to pause: see http_stream.c */
    struct calm__alarm timer;  /* libcurl's */
    struct calm__alarm limits; /* the soonest end of all exchanges, or sooner */
    int64_t timer_due;

    struct calm__http_exchange *ask_first, *ask_last;
    struct calm__http_exchange *live_first, *live_last;

    struct calm__http_socket **sockets; /* by descriptor */
    int socket_places;
    size_t holds;   /* its own until it is shut, and one for each socket */
    size_t senders; /* tasks that are in calm_http_send() */

    struct calm__http_handle *handles, *stream_handles;
    struct calm__http_name *names;
    struct calm__http_proxies proxies;

    int64_t connect_timeout, silence;
    size_t body_max, per_host, total;
    char *unix_path, *ca_file, *user_agent;
    calm_bytes lines; /* of headers, while a handle is set */
};

/* What the loop calls: for tasks that ask, and when an alarm rings. */
void calm__http_pump(struct calm__post *post);
void calm__http_timer_ring(struct calm__alarm *alarm);
void calm__http_limits_ring(struct calm__alarm *alarm);

/* libcurl wants to be called in so many milliseconds. */
int calm__http_on_timer(CURLM *multi, long timeout, void *ctx);

/* Ends all exchanges and closes the client. On the loop's stack. */
void calm__http_shut(struct calm_http *client);

/* The task's side asks the loop's side. The exchange must not have ended. */
void calm__http_ask(struct calm__http_exchange *exchange, unsigned what);

/* The name of these exchanges is known, or RESULT says why not. */
void calm__http_named(
    struct calm__http_name *name, int result, const char *reason);

/* Ends an exchange with RESULT, in whatever state it is. */
void calm__http_end(struct calm__http_exchange *exchange, int result);

/* Notes why, for the sentence; the first reason stands. Returns RESULT. */
int calm__http_because(struct calm__http_exchange *exchange, int result,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A byte has come or gone, or a new phase begins. */
void calm__http_phase_set(
    struct calm__http_exchange *exchange, enum calm__http_phase phase);

/* Wakes the task of an exchange to look at it. */
void calm__http_wake(struct calm__http_exchange *exchange);

/* After every call into libcurl: what it wants at once, and what has ended. */
void calm__http_settle(struct calm_http *client);

/* Ends the exchanges whose connection is FD. */
void calm__http_descriptor_failed(struct calm_http *client, int fd, int result);

/* One hold less; without any nothing of it is in flight, and the run may end.
 * One sender less. The client goes when there are neither. */
void calm__http_release(struct calm_http *client);
void calm__http_leave(struct calm_http *client);

/* ---- sockets (http_socket.c) ---- */

/* libcurl's callbacks. */
int calm__http_on_socket(
    CURL *easy, curl_socket_t fd, int what, void *ctx, void *of_socket);
curl_socket_t calm__http_on_open(
    void *ctx, curlsocktype purpose, struct curl_sockaddr *address);
int calm__http_on_close(void *ctx, curl_socket_t fd);

/* When a byte last came or went over FD. */
int64_t calm__http_socket_last(const struct calm_http *client, int fd);

/* Lets go of what libcurl has not closed. */
void calm__http_sockets_forget(struct calm_http *client);

/* ---- answers (http_response.c) ---- */

void calm__http_answer_begin(struct calm__http_exchange *exchange);
size_t calm__http_on_header(char *data, size_t size, size_t count, void *ctx);
size_t calm__http_on_data(char *data, size_t size, size_t count, void *ctx);

/* The answer of a redirect that is followed is here: where to. Returns 0 or
 * CALM_EHTTP, -ENOMEM. */
int calm__http_redirect(struct calm__http_exchange *exchange);

/* ---- streams (http_stream.c) ---- */

size_t calm__http_stream_data(
    struct calm__http_exchange *exchange, const char *data, size_t len);
size_t calm__http_on_read(char *data, size_t size, size_t count, void *ctx);

/* The task's side: does what there is to do for the request's functions.
 * Returns 1 when it did something, 0 when there is nothing, or what one of
 * them returned. */
int calm__http_stream_turn(struct calm__http_exchange *exchange);

/* ---- errors (http_error.c) ---- */

/* What CODE of libcurl means, with a reason in the exchange. */
int calm__http_code(struct calm__http_exchange *exchange, CURLcode code);

#endif
