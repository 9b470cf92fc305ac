# pi.csv as a picture: a bar for each pair, by how many times the library is faster. Groups are guard,
# operation, layout, working set and tier.
BEGIN {
	FS = ","
	left = 260; unit = 130; row = 18; end = 6
	colour["isal"] = colour["isal-copy"] = colour["isal-avx"] = colour["isal-sse"] = "#2b6cb0"; colour["memcpy+isal"] = "#63a0d8"
	colour["crc-fast"] = "#b7791f"; colour["memcpy+crc-fast"] = "#d9a95a"
	colour["plain-c"] = "#718096"; colour["memcpy+plain-c"] = "#a0aec0"
}
NR == 1 { next }
{
	group = $1 " " $2 ", " $3 ", " $5 (NF && $6 != "auto" ? ", URX_CPU=" $6 : "")
	if (!(group in rows))
		order[++groups] = group
	n = ++rows[group]
	label[group, n] = $4 " B / " $8 " " $9
	peer[group, n] = $8; ratio[group, n] = $11; ours[group, n] = $7; theirs[group, n] = $10
	total++
}
function text(x, y, class, s) {
	gsub(/&/, "\\&amp;", s); gsub(/</, "\\&lt;", s)
	printf "<text x=\"%d\" y=\"%d\" class=\"%s\">%s</text>\n", x, y, class, s
}
END {
	height = 50 + groups * (row + 10) + total * row
	width = left + end * unit + 170
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\">\n", width, height, width, height
	print "<style>text{font:12px sans-serif;fill:#1a202c}.head{font-weight:bold}.label{text-anchor:end}.scale{fill:#4a5568;text-anchor:middle}</style>"
	printf "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n", width, height
	text(10, 18, "head", "Time of a peer / time of the library, per block. Right of the dark line the library is faster.")
	for (x = 0; x <= end; x++) {
		printf "<line x1=\"%d\" x2=\"%d\" y1=\"44\" y2=\"%d\" stroke=\"%s\"/>\n", left + x * unit, left + x * unit, height - 6, x == 1 ? "#1a202c" : "#e2e8f0"
		text(left + x * unit, 38, "scale", "x" x)
	}
	y = 50
	for (g = 1; g <= groups; g++) {
		group = order[g]
		y += row
		text(10, y, "head", group)
		y += 4
		for (n = 1; n <= rows[group]; n++) {
			shown = ratio[group, n] > end ? end : ratio[group, n]
			printf "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", left, y + 3, shown * unit, row - 4, peer[group, n] in colour ? colour[peer[group, n]] : "#718096"
			text(left - 8, y + 14, "label", label[group, n])
			text(left + shown * unit + 6, y + 14, "", "x" ratio[group, n] "  (" ours[group, n] " / " theirs[group, n] " ns)")
			y += row
		}
		y += 6
	}
	print "</svg>"
}
