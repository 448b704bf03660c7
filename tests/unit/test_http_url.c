/* test_http_url.c - which URLs may be requested, how they are shown, and which
 * of them go by a proxy */
#include "test.h"

#include "io/http.h"

static int urls_are_taken_apart(void *arg)
{
    static const struct {
        const char *text, *host;
        int port;
        bool secure, numeric;
    } good[] = {
        {"http://h", "h", 80, false, false},
        {"HTTPS://Host.Example.", "host.example.", 443, true, false},
        {"http://h:8080/a?b#c", "h", 8080, false, false},
        {"http://h:/", "h", 80, false, false},
        {"http://u:p@h:1/", "h", 1, false, false},
        {"http://u:p@x@h?q", "h", 80, false, false},
        {"http://h#@evil", "h", 80, false, false},
        {"http://h?@evil:7/", "h", 80, false, false},
        {"http://127.0.0.1:65535/", "127.0.0.1", 65535, false, true},
        {"https://[::1]:9/", "::1", 9, true, true},
        {"http://[fe80::1%25eth0]/", "fe80::1%25eth0", 80, false, true},
        {"http://a_b-c.d/\xc3\xa4", "a_b-c.d", 80, false, false},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct calm__http_url url = {0};
        const char *reason = "";
        check_equal(calm__http_url_parse(good[i].text, &url, &reason), 0);
        check_text(reason, "");
        check_text(url.host, good[i].host);
        check_equal(url.port, good[i].port);
        check_equal(url.secure, good[i].secure);
        check_equal(url.numeric, good[i].numeric);
    }
    return 0;
}

static int what_two_could_read_differently_is_refused(void *arg)
{
    static const char *const bad[] = {NULL, "", "h", "/path", "ftp://h/",
        "file:///etc/passwd", "http:/h", "http:///", "http://", "http://@",
        "http://u@", "http://:80/", "http://h:0/", "http://h:65536/",
        "http://h:99999999999/", "http://h:8x/", "http://h:-1/", "http://h h/",
        "http://h/a b", "http://h/\n", "http://h/\x7f", "http://h\\@evil/",
        "http://a%41b/",
        "http://b\xc3\xbc"
        "cher.de/",
        "http://[::1/", "http://[::1]x/", "http://[h]/", "http://[127.0.0.1]/",
        "http://h:1:2/", "http://a,b/", " http://h/"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct calm__http_url url = {0};
        const char *reason = NULL;
        check_equal(calm__http_url_parse(bad[i], &url, &reason), -EINVAL);
        check(reason && *reason);
    }
    char text[400] = "http://";
    memset(text + 7, 'a', 300);
    struct calm__http_url url;
    const char *reason;
    check_equal(calm__http_url_parse(text, &url, &reason), -EINVAL);
    return 0;
}

static int what_is_shown_has_no_secrets(void *arg)
{
    static const char *const shown[][2] = {
        {"http://h/a?key=s3cret", "http://h/a"},
        {"https://user:s3cret@h:1/a#s3cret", "https://h:1/a"},
        {"http://u:s3@cret@h", "http://h"},
        {"http://h/@a", "http://h/@a"},
        {"http://h\n/a\x1b[2J", "http://h?/a?[2J"},
        {"nothing", "nothing"},
        {"", ""},
        {"u:s3cret@h", "h"},
        {"http://user:pa/s3cret@host:80/p?q", "http://..."},
        {"http://user:pa?s3cret#s@host/p", "http://..."},
        {"http://user:12x/a@s3cret@host", "http://..."},
        {"http://user:/s3cret@h", "http://..."},
        {"http://user:123456/s3cret@h", "http://..."},
        {"http://a@b:s3/cret@h", "http://..."},
        {"http://user:s3:12/s3cret@h", "http://..."},
        {"http://u:p]a/s3cret@h", "http://..."},
        {"http://u:s3[x]cret/a@h", "http://..."},
        {"http://u:s3://cret@h", "http://..."},
        {"u:s3://cret@h", "..."},
        {"http:///user:s3cret@host/", "http://..."},
        {"http//user:s3cret@host/v1", "http/..."},
        {"user/n:s3cret@host/", "user/..."},
        {"http://user:p@s3/cret@host/x", "http://..."},
        {"http://host:80a/p?key=a@s3cret", "http://..."},
        {"http://user:1234/s3cret@h", "http://user:1234/..."},
        {"http://host:80/a@b", "http://host:80/..."},
        {"http://host:80/a?b@c", "http://host:80/a"},
        {"http://host/a@b", "http://host/a@b"},
        {"http://[::1]:80/a", "http://[::1]:80/a"},
        {"http://[::1]/a:b@c", "http://[::1]/a:b@c"},
    };
    char text[64];
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        check_text(
            calm_http_url_show(shown[i][0], text, sizeof text), shown[i][1]);
    check_text(calm_http_url_show("http://host/path", text, 8), "http://");
    check_text(calm_http_url_show("http://host/path", text, 1), "");
    return 0;
}

static int no_proxy_lists_hosts_and_networks(void *arg)
{
    static const struct {
        char *none;
        const char *url;
        bool direct;
    } cases[] = {
        {NULL, "http://h/", false},
        {"*", "http://h/", true},
        {"h", "http://h/", true},
        {"h", "http://xh/", false},
        {"h", "http://x.h:8/", true},
        {".h", "http://x.h/", true},
        {".h", "http://h/", true},
        {"x.h", "http://h/", false},
        {"a,  H ,b", "http://h/", true},
        {"a h\tb", "http://B./", true},
        {"127.0.0.1", "http://127.0.0.1/", true},
        {"127.0.0.0/8", "http://127.9.9.9/", true},
        {"127.0.0.0/31", "http://127.0.0.2/", false},
        {"127.0.0.0/99", "http://127.0.0.0/", false},
        {"0.0.0.0/0", "http://9.9.9.9/", true},
        {"0.0.1", "http://127.0.0.1/", false},
        {"[::1]", "http://[::1]/", true},
        {"fe80::/10", "http://[fe81::2]/", true},
        {",,", "http://h/", false},
        {"", "http://h/", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct calm__http_proxies proxies = {"http://p", NULL, cases[i].none};
        struct calm__http_url url = {0};
        const char *reason = "";
        check_equal(calm__http_url_parse(cases[i].url, &url, &reason), 0);
        const char *proxy = calm__http_proxy_for(&proxies, &url);
        if (!check_equal(proxy == NULL, cases[i].direct))
            fprintf(stderr, "    %s: %s\n", cases[i].none, cases[i].url);
    }
    struct calm__http_proxies proxies = {"http://p", "http://s", NULL};
    struct calm__http_url url = {.secure = true};
    check_text(calm__http_proxy_for(&proxies, &url), "http://s");
    return 0;
}

static void proxies_are(const char *http, const char *https)
{
    struct calm__http_proxies proxies = {0};
    check_equal(calm__http_proxies_read(&proxies), 0);
    check_text(proxies.http ? proxies.http : "-", http);
    check_text(proxies.https ? proxies.https : "-", https);
    calm__http_proxies_clear(&proxies);
}

static int proxies_are_read_as_curl_does(void *arg)
{
    static const char *const names[] = {"http_proxy", "HTTP_PROXY",
        "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
    proxies_are("-", "-");
    setenv("HTTP_PROXY", "cgi", 1); /* a request's header could set it */
    setenv("HTTPS_PROXY", "upper", 1);
    proxies_are("-", "upper");
    setenv("https_proxy", "lower", 1);
    setenv("ALL_PROXY", "all", 1);
    proxies_are("all", "lower");
    setenv("http_proxy", "http", 1);
    proxies_are("http", "lower");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        pure_test(urls_are_taken_apart),
        pure_test(what_two_could_read_differently_is_refused),
        pure_test(what_is_shown_has_no_secrets),
        pure_test(no_proxy_lists_hosts_and_networks),
        pure_test(proxies_are_read_as_curl_does),
    };
    return run_list("http_url", tests, sizeof tests / sizeof *tests);
}
