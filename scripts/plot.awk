# Draws a table as lines (SVG): in each line x, and what was measured there, by tabs. Both
# axes are by powers of ten.
#
#   awk -v title=T -v x_name=X -v y_name=Y -v names=A,B -f plot.awk table
#
# 'names' are the lines' names, in the order of the columns.

BEGIN {
    FS = "\t"
    width = 720; height = 440; left = 80; right = 20; top = 50; bottom = 55
    split("#1f6f8b #c8553d #588157 #6d597a", colours, " ")
    lines = split(names, name, ",")
}

function log10(value) { return log(value) / log(10) }
function floor(value) { return value < 0 && value != int(value) ? int(value) - 1 : int(value) }
function ceiling(value) { return -floor(-value) }
function at_x(value) { return left + (width - left - right) * (log10(value) - x_low) / (x_high - x_low) }
function at_y(value) { return height - bottom - (height - top - bottom) * (log10(value) - y_low) / (y_high - y_low) }
function short(value) {
    if (value >= 1000000) return value / 1000000 "M"
    if (value >= 1000) return value / 1000 "k"
    return value ""
}

$1 > 0 {
    rows++
    x[rows] = $1
    if (rows == 1 || $1 < x_least) x_least = $1
    if (rows == 1 || $1 > x_most) x_most = $1
    for (line = 1; line <= lines; line++) {
        y[rows, line] = $(line + 1)
        if ($(line + 1) <= 0) continue
        if (!y_least || $(line + 1) < y_least) y_least = $(line + 1)
        if (!y_most || $(line + 1) > y_most) y_most = $(line + 1)
    }
}

END {
    if (!rows || !y_least) { print "plot.awk: there is nothing to draw" > "/dev/stderr"; exit 1 }
    # Where all lies between two powers of ten, the axis ends where the figures do.
    x_low = log10(x_least); x_high = log10(x_most)
    if (x_high == x_low) x_high = x_low + 1
    y_low = floor(log10(y_least)); y_high = ceiling(log10(y_most))
    if (y_high <= y_low) y_high = y_low + 1
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\">\n", width, height
    print "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
    printf "<text x=\"%d\" y=\"24\" font-size=\"15\">%s</text>\n", left, title
    for (row = 1; row <= rows; row++) {
        place = at_x(x[row])
        printf "<path d=\"M%.1f %dV%d\" stroke=\"#ddd\"/>\n", place, top, height - bottom
        printf "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", place, height - bottom + 18, short(x[row])
    }
    for (power = y_low; power <= y_high; power++) {
        place = at_y(10 ^ power)
        printf "<path d=\"M%d %.1fH%d\" stroke=\"#ddd\"/>\n", left, place, width - right
        printf "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", left - 6, place + 4, short(10 ^ power)
    }
    for (line = 1; line <= lines; line++) {
        colour = colours[(line - 1) % 4 + 1]
        points = ""
        for (row = 1; row <= rows; row++) {
            if (y[row, line] <= 0) continue
            points = points sprintf("%.1f,%.1f ", at_x(x[row]), at_y(y[row, line]))
            printf "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", at_x(x[row]), at_y(y[row, line]), colour
        }
        printf "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>\n", points, colour
        printf "<text x=\"%d\" y=\"%d\" text-anchor=\"end\" fill=\"%s\">%s</text>\n", width - right - 4, top + 14 * line, colour, name[line]
    }
    printf "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", (left + width - right) / 2, height - 12, x_name
    printf "<text transform=\"translate(18 %d) rotate(-90)\" text-anchor=\"middle\">%s</text>\n", (top + height - bottom) / 2, y_name
    print "</svg>"
}
