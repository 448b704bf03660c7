/* calm/error.h - errors are return values, their sentences wait in a slot
 *
 * Every call of calm returns zero or more when it is good, and a negative
 * errno, or one of the CALM_E* codes below, when it is not. The code is for
 * the program; the sentence for people waits in the error slot of the running
 * task and moves, with the code, to whoever awaits that task:
 *
 *     static int load(void *arg)
 *     {
 *         int fd = open(arg, O_RDONLY);
 *         if (fd < 0)
 *             return calm_fail(-errno, "cannot open '%s': %m", arg);
 *         ...
 *     }
 *
 *     int rc = calm_run(load, "model.json");
 *     if (rc < 0)
 *         fprintf(stderr, "%s\n", calm_message(rc));
 *
 * errno itself is never the channel. A message is lower case, has no full
 * stop, says first what failed, and puts its subject in single quotes; a fix
 * that the user can try follows on a line that begins with "hint: ".
 *
 * Outside of a task each thread has a slot of its own, so all of this works
 * in main(), in a pool's thread and in a task alike. None of it suspends.
 */
#ifndef CALM_ERROR_H
#define CALM_ERROR_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Marks a call that may suspend the task; it compiles to nothing. */
#define CALM_SUSPENDS

/* Codes of calm's own, beyond every errno of the kernel (1 to 4095). */
#define CALM_EFORMAT (-4096) /* input that breaks the rules of its format */
#define CALM_ELIMIT (-4097)  /* input beyond a bound that calm keeps */
#define CALM_EMODEL (-4098)  /* a model that cannot be loaded or used */
#define CALM_EROW (-4099)    /* one row failed; the others go on */
#define CALM_ETLS (-4100)    /* no secure connection: certificate, handshake */
#define CALM_EHTTP (-4101)   /* an answer that is no HTTP, or not a good one */
#define CALM_EREMOTE (-4102) /* the other side wants this to stop */

/* The longest sentence that is kept, in bytes with its end; the rest is cut. */
#define CALM_MESSAGE_MAX 1024

/* Puts the sentence into the slot, in place of what was there, and returns
 * CODE, which must be negative. The format is printf's; %m is errno's text. */
int calm_fail(int code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds context in front of the sentence of CODE: "context: sentence", and
 * returns CODE. The slot is filled from the code alone when it is empty. Zero
 * or a positive CODE is returned as it is, and nothing else happens:
 *
 *     return calm_while(parse(file), "'%s'", path);
 */
int calm_while(int code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The sentence that explains CODE: the slot's, when the slot holds that code,
 * else the code's general text ("No such file or directory"). Never NULL. It
 * stays valid until the next call of calm by this task. */
const char *calm_message(int code);

/* The name of a code, for logs: "ENOENT", "CALM_EFORMAT", "E4711" if unknown.
 */
const char *calm_code_name(int code);

/* How many errors the slot holds. It is more than one after a group in which
 * several tasks failed; the first is the one that was returned. */
size_t calm_error_count(void);

/* The slot's error number INDEX: returns its code, or 0 when there is none,
 * and its sentence in *ret_message (which may be NULL). */
int calm_error_get(size_t index, const char **ret_message);

/* Empties the slot: an error that was dealt with. */
void calm_error_clear(void);

#ifdef __cplusplus
}
#endif
#endif
