/* inspect.c - what this machine and this build offer, for calm doctor */
#include "base/error.h"
#include "core/stack.h"
#include "host/backends.h"
#include "io/inflate.h"
#include "io/json.h"

#include <calm/inspect.h>
#include <calm/model.h>
#include <calm/pool.h>
#include <calm/run.h>

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

const char *calm_version(void)
{
    return CALM_VERSION;
}

static int line(calm_bytes *text, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int line(calm_bytes *text, const char *name, const char *format, ...)
{
    char value[512];
    va_list args;
    va_start(args, format);
    vsnprintf(value, sizeof value, format, args);
    va_end(args);
    return calm_bytes_printf(text, "%-16s %s\n", name, value);
}

static int kernel(calm_bytes *text)
{
    struct utsname name;
    if (uname(&name) < 0)
        return line(text, "kernel", "unknown");
    return line(
        text, "kernel", "%s %s, %s", name.sysname, name.release, name.machine);
}

static int backend(calm_bytes *text)
{
    struct calm__uring_report ring;
    calm__uring_describe(&ring);
    const char *asked = getenv("CALM_BACKEND");
    const char *running = calm_backend_name();
    int rc = line(text, "backend", "%s%s%s", running ? running : "none",
        asked ? ", asked for by CALM_BACKEND=" : ", chosen by calm",
        asked ? asked : "");
    if (rc < 0)
        return rc;
    if (ring.code == 0)
        return line(text, "io_uring", "granted, %s", ring.mode);
    return line(text, "io_uring", "refused: %s%s%s", calm_message(ring.code),
        ring.hint ? "; " : "", ring.hint ? ring.hint : "");
}

static int limit(calm_bytes *text, const char *name, int resource)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) < 0)
        return line(text, name, "unknown");
    if (limit.rlim_cur == RLIM_INFINITY)
        return line(text, name, "unlimited");
    return line(text, name, "%llu of %llu", (unsigned long long)limit.rlim_cur,
        (unsigned long long)limit.rlim_max);
}

static int map_count(calm_bytes *text)
{
    char value[32] = "unknown";
    FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
    if (file) {
        if (fgets(value, sizeof value, file))
            value[strcspn(value, "\n")] = '\0';
        fclose(file);
    }
    return line(text, "max_map_count", "%s", value);
}

static int libraries(calm_bytes *text)
{
    int json[3];
    calm__json_version(json);
    int rc = line(text, "models", "%s", calm_model_library());
    if (rc == 0)
        rc = line(text, "JSON", "simdjson %d.%d.%d", json[0], json[1], json[2]);
    if (rc == 0)
        rc = line(text, "compressed", "zlib %s, zstd %s", calm__gzip_version(),
            calm__zstd_version());
    if (rc == 0)
        rc = line(text, "hashes", "%s", OpenSSL_version(OPENSSL_VERSION));
    return rc;
}

int calm_inspect(calm_bytes *text)
{
    int rc = line(text, "calm", "%s", calm_version());
    if (rc == 0)
        rc = kernel(text);
    if (rc == 0)
        rc = backend(text);
    if (rc == 0)
        rc = line(text, "stack guards", "%s", calm__guard_name());
    if (rc == 0)
        rc = limit(text, "open files", RLIMIT_NOFILE);
    if (rc == 0)
        rc = limit(text, "locked memory", RLIMIT_MEMLOCK);
    if (rc == 0)
        rc = map_count(text);
    if (rc == 0)
        rc = line(text, "processors", "%d", calm_cpu_count());
    return rc == 0 ? libraries(text) : rc;
}
