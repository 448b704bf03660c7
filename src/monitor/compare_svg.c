/* compare_svg.c - comparisons as bars, in a picture of lines and text
 *
 * A panel for each workload, a bar for each approach, from zero on a linear
 * axis: lengths compare as the times do. A bracket spans the middle half of
 * the repetitions. Colours are named in a style sheet, which has a second set
 * for readers who prefer dark pages; text is text and uses the reader's font.
 */
#include "monitor/compare.h"

#include <math.h>
#include <stdio.h>

enum {
    WIDTH = 760,
    LEFT = 110,  /* of the bars; names stand before them */
    RIGHT = 216, /* for the labels behind the bars */
    ROW = 34,
    BAR = 18,
    TITLE = 46,
    AXIS = 50,
    TOP = 16,
    PANEL = TITLE + CALM_APPROACHES * ROW + AXIS,
};

static const char style[] =
    "<style>\n"
    "svg { background: #ffffff; font: 13px system-ui, sans-serif; }\n"
    ".title { font-weight: 600; font-size: 15px; fill: #1b1f24; }\n"
    ".text { fill: #1b1f24; } .soft { fill: #57606a; }\n"
    ".grid { stroke: #d8dee4; } .axis { stroke: #8c959f; }\n"
    ".spread { stroke: #1b1f24; stroke-width: 1.5; fill: none; }\n"
    ".sync { fill: #8c959f; } .async { fill: #1f77b4; }\n"
    ".threads { fill: #e08214; } .processes { fill: #4d9221; }\n"
    "@media (prefers-color-scheme: dark) {\n"
    "svg { background: #0d1117; }\n"
    ".title, .text { fill: #e6edf3; } .soft { fill: #9da7b1; }\n"
    ".grid { stroke: #2b323b; } .axis { stroke: #6e7681; }\n"
    ".spread { stroke: #e6edf3; }\n"
    ".sync { fill: #7d8590; } .async { fill: #58a6ff; }\n"
    ".threads { fill: #f0a04b; } .processes { fill: #7ac74f; }\n"
    "}\n"
    "</style>\n";

/* Names of folders and URLs may hold anything, also what no XML may. */
static void put_escaped(calm_bytes *svg, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '<' || c == '>' || c == '&' || c == '"')
            calm_bytes_printf(svg, "&#%d;", c);
        else if (c >= ' ' && c < 0x7f)
            calm_bytes_append(svg, text, 1);
        else
            calm_bytes_append_text(svg, "?");
    }
}

/* 1, 2 or 5 times a power of ten, so that four to nine steps make LONGEST. */
static double step_of(double longest)
{
    double power = pow(10, floor(log10(longest / 4)));
    double rest = longest / 4 / power;
    return power * (rest >= 5 ? 5 : rest >= 2 ? 2 : 1);
}

static double longest_of(const calm_comparison *comparison)
{
    double longest = 0;
    for (int i = 0; i < CALM_APPROACHES; i++) {
        const calm_compare_figures *figures = &comparison->approaches[i];
        if (figures->code == 0)
            longest = fmax(longest, fmax(figures->wall, figures->high));
    }
    return longest > 0 ? longest : 1;
}

static double place(double seconds, double longest)
{
    return LEFT + (WIDTH - LEFT - RIGHT) * seconds / longest;
}

/* "20 ms": a step has few digits. */
static const char *show_tick(char buffer[16], double seconds)
{
    bool whole = seconds >= 0.9999, milli = seconds >= 0.9999e-3;
    snprintf(buffer, 16, "%g %s",
        seconds * (whole      ? 1
                      : milli ? 1e3
                              : 1e6),
        whole   ? "s"
        : milli ? "ms"
                : "us");
    return buffer;
}

static void put_axis(
    calm_bytes *svg, const calm_comparison *comparison, double top)
{
    double longest = longest_of(comparison), step = step_of(longest);
    double bottom = top + TITLE + CALM_APPROACHES * ROW;
    char label[16];
    for (int i = 0; i * step <= longest * 1.0001; i++) {
        double x = place(i * step, longest);
        calm_bytes_printf(svg,
            "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" "
            "y2=\"%.1f\"/>\n",
            i == 0 ? "axis" : "grid", x, top + TITLE - 6, x, bottom);
        calm_bytes_printf(svg,
            "<text class=\"soft\" x=\"%.1f\" y=\"%.1f\" "
            "text-anchor=\"middle\">%s</text>\n",
            x, bottom + 16, i == 0 ? "0" : show_tick(label, i * step));
    }
    calm_bytes_printf(svg,
        "<text class=\"soft\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">"
        "wall time, less is better</text>\n",
        place(longest / 2, longest), bottom + 34);
}

static void put_spread(calm_bytes *svg, const calm_compare_figures *figures,
    double longest, double middle)
{
    double low = place(figures->low, longest);
    double high = place(figures->high, longest);
    calm_bytes_printf(svg,
        "<path class=\"spread\" d=\"M%.1f %.1fv8m0 -4H%.1fm0 -4v8\"/>\n", low,
        middle - 4, high);
}

static void put_label(calm_bytes *svg, const calm_comparison *comparison,
    const calm_compare_figures *figures, double x, double y)
{
    const calm_compare_figures *sync = &comparison->approaches[CALM_SYNC];
    char wall[16];
    calm_bytes_printf(svg, "<text class=\"text\" x=\"%.1f\" y=\"%.1f\">%s%s", x,
        y, figures->done < comparison->tasks ? "about " : "",
        calm__show_seconds(wall, figures->wall));
    if (sync->code == 0 && figures != sync) {
        double speed = sync->wall / figures->wall;
        calm_bytes_printf(svg,
            "<tspan class=\"soft\" dx=\"8\">%.*f times as fast</tspan>",
            speed < 9.995  ? 2
            : speed < 99.5 ? 1
                           : 0,
            speed);
    }
    calm_bytes_append_text(svg, "</text>\n");
}

static void put_bar(calm_bytes *svg, const calm_comparison *comparison,
    enum calm_approach approach, double top)
{
    const calm_compare_figures *figures = &comparison->approaches[approach];
    double longest = longest_of(comparison);
    double middle = top + TITLE + approach * ROW + ROW / 2.0;
    const char *name = calm_approach_name(approach);
    calm_bytes_printf(svg,
        "<text class=\"text\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s"
        "</text>\n",
        LEFT - 10, middle + 4.5, name);
    if (figures->code < 0) {
        calm_bytes_printf(svg,
            "<text class=\"soft\" x=\"%d\" y=\"%.1f\">failed</text>\n",
            LEFT + 8, middle + 4.5);
        return;
    }
    calm_bytes_printf(svg,
        "<rect class=\"%s\" x=\"%d\" y=\"%.1f\" width=\"%.2f\" height=\"%d\" "
        "rx=\"2\"/>\n",
        name, LEFT, middle - BAR / 2.0,
        fmax(place(figures->wall, longest) - LEFT, 0.75), BAR);
    put_spread(svg, figures, longest, middle);
    put_label(svg, comparison, figures,
        place(fmax(figures->wall, figures->high), longest) + 10, middle + 4.5);
}

static void put_panel(
    calm_bytes *svg, const calm_comparison *comparison, double top)
{
    calm_bytes_printf(svg,
        "<text class=\"title\" x=\"16\" y=\"%.1f\">%s<tspan class=\"soft\" "
        "dx=\"8\" font-weight=\"400\" font-size=\"13\">%zu tasks",
        top + 18, calm_work_name(comparison->work), comparison->tasks);
    if (comparison->target[0]) {
        calm_bytes_append_text(svg, ", ");
        put_escaped(svg, comparison->target);
    }
    calm_bytes_append_text(svg, "</tspan></text>\n");
    put_axis(svg, comparison, top);
    for (int i = 0; i < CALM_APPROACHES; i++)
        put_bar(svg, comparison, i, top);
}

int calm_compare_svg(
    const calm_comparison *comparisons, size_t count, calm_bytes *svg)
{
    /* After this no call can fail: a panel takes some five thousand bytes. */
    int rc = calm_bytes_reserve(svg, (count + 1) * (32 << 10));
    if (rc < 0)
        return rc;
    int height = TOP + (int)count * PANEL + 30;
    calm_bytes_printf(svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" "
        "height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\" "
        "aria-label=\"wall times of sync, async, threads and processes\">\n",
        WIDTH, height, WIDTH, height);
    calm_bytes_append_text(svg, style);
    for (size_t i = 0; i < count; i++)
        put_panel(svg, &comparisons[i], TOP + (double)i * PANEL);
    calm_bytes_printf(svg,
        "<text class=\"soft\" x=\"16\" y=\"%d\" font-size=\"12\">Bars are "
        "medians, brackets span the middle half of the repetitions; %d "
        "processors.</text>\n",
        height - 14, count > 0 ? comparisons[0].processors : 0);
    return calm_bytes_append_text(svg, "</svg>\n");
}
