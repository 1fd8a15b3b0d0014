# SPDX-License-Identifier: Apache-2.0
#
# Gives headings the names that links on GitHub use, which doxygen knows only in
# later versions. Names are those of all pages there, so they get the page's.

BEGIN {
  page = ARGV[1]
  gsub(/^.*\/|\.md$/, "", page)
}

/^```/ { in_code = !in_code }

in_code { print; next }

/^##+ / {
  name = tolower($0)
  sub(/^#+ /, "", name)
  gsub(/[^a-z0-9 _-]/, "", name)
  gsub(/ /, "-", name)
  print $0 " {#" page "_" name "}"
  next
}

{
  gsub(/\]\(#/, "](#" page "_")
  print
}
