# SPDX-License-Identifier: Apache-2.0
#
# What doxygen reads of a header, since comments here are plain //:
#
#   the comment at its head            the file's: /// @file
#   a comment before a declaration     that declaration's: ///
#   none before a class that the head names before its first colon
#                                      the head
#   a comment after one, on its line   likewise: ///<
#   any other, such as one that a blank line follows, or in a function's body
#                                      none
#
# Lines that are indented within a comment are code or tables. Needing none:
# special members that are defaulted or deleted, moves and destructors; overloads
# of what is before them; and fields that the kernel's header has, too. Lines
# stay lines, so that warnings name the right ones.

# What is special to doxygen, as text; between backquotes everything is.
function Escaped(text,    parts, count, i) {
  count = split(text, parts, "`")
  text = ""
  for (i = 1; i <= count; ++i) {
    if (i % 2 == 1) gsub(/[\\@<>#&]/, "\\\\&", parts[i])
    text = text (i > 1 ? "`" : "") parts[i]
  }
  return text
}

# The text of a comment, behind the slashes, for `mark`.
function Marked(mark, text) {
  if (text ~ /^  +[^ ]/) return mark "    " text
  return mark Escaped(text)
}

# The line without its strings, characters and comments.
function Bare(line) {
  gsub(/\\./, "", line)
  gsub(/"[^"]*"/, "", line)
  gsub(/'[^']'/, "", line)
  sub(/\/\/.*/, "", line)
  return line
}

# Whether `statement`, which a { follows, opens a scope with declarations.
function OpensScope(statement,    depth, i, c, rest) {
  while (match(statement, /template *</)) {
    depth = 1
    for (i = RSTART + RLENGTH; depth > 0 && i <= length(statement); ++i) {
      c = substr(statement, i, 1)
      if (c == "<") ++depth
      if (c == ">") --depth
    }
    rest = substr(statement, i)
    statement = substr(statement, 1, RSTART - 1) rest
  }
  while (match(statement, /requires *\(/)) {
    depth = 1
    for (i = RSTART + RLENGTH; depth > 0 && i <= length(statement); ++i) {
      c = substr(statement, i, 1)
      if (c == "(") ++depth
      if (c == ")") --depth
    }
    statement = substr(statement, 1, RSTART - 1) substr(statement, i)
  }
  gsub(/\[\[[a-z]*\]\]/, "", statement)
  sub(/^.*(public|private|protected):/, "", statement)
  return statement ~ /^ *(inline +|typedef +)?(namespace|class|struct|union|enum|extern)([ {]|$)/
}

# Follows braces and parentheses; `scope[depth]` says what is at that depth.
function Follow(bare,    i, c) {
  for (i = 1; i <= length(bare); ++i) {
    c = substr(bare, i, 1)
    if (c == "{") {
      ++depth
      scope[depth] = scope[depth - 1] && parens == 0 && OpensScope(statement)
      statement = ""
    } else if (c == "}") {
      --depth
      statement = ""
    } else if (c == ";" && parens == 0) {
      statement = ""
    } else {
      if (c == "(") ++parens
      if (c == ")") --parens
      statement = statement c
    }
  }
  statement = statement " "
}

# Writes the block of comments that has been kept, before a declaration or not.
function Flush(documents,    i, dropped) {
  for (i = 1; i <= kept; ++i) {
    if (block[i] ~ /^ *\/\/ (NOLINT|IWYU)/) dropped = 1
    if (documents && !dropped) {
      match(block[i], /\/\//)
      print Marked(substr(block[i], 1, RSTART - 1) "///", substr(block[i], RSTART + 2))
    } else {
      print dropped ? "" : block[i]
    }
  }
  kept = 0
}

BEGIN { scope[0] = 1; depth = 0; parens = 0; head = 1 }

head && /^\/\/ SPDX/ { print "/// @file"; next }
head && /^\/\// {
  if (topics == "") topics = substr($0, 3)
  print Marked("///", substr($0, 3))
  next
}
head { head = 0 }

# A line that is a comment.
/^ *\/\// {
  match($0, /\/\//)
  if (after > 0 && after == RSTART) {
    print Marked(substr($0, 1, RSTART - 1) "///<", substr($0, RSTART + 2))
    next
  }
  block[++kept] = $0
  next
}

/^ *#/ || continues {
  Flush(/^ *# *define/)
  continues = /\\$/
  after = 0
  print
  next
}

/^ *(public|private|protected):/ {
  Flush(0)
  statement = ""
  print
  next
}

{
  at = scope[depth] && parens == 0
  begins = at && statement ~ /^ *$/
  bare = Bare($0)
  # The class that the head of the file is about.
  if (begins && kept == 0 && match(bare, /^(class|struct) (\[\[[a-z]*\]\] )?[A-Za-z]+ /)) {
    name = substr(bare, RSTART, RLENGTH)
    gsub(/\[\[[a-z]*\]\]|class|struct| /, "", name)
    if (topics ~ "(^| )" name "(,|:| and )") {
      path = FILENAME
      sub(/^.*include\//, "", path)
      $0 = "/** @copydoc " path " */ " $0
    }
  }
  documented = kept > 0
  Flush(begins && bare !~ /^ *$/ && bare !~ /^ *[#}]/)
  after = 0
  plain = bare
  gsub(/\[\[[a-z]*\]\]|noexcept|override|constexpr|inline|virtual/, "", plain)
  # What nothing is to be said of.
  if (begins &&
      ((plain ~ /= (default|delete);/ && plain !~ /^ *[A-Z][A-Za-z]*\(\) = default;/) ||
       (plain ~ /^ *~[A-Za-z]+\(\)/ && plain !~ /; *$/) ||
       plain ~ /^ *[A-Z][A-Za-z]*(\(|& operator=\()[A-Z][A-Za-z]*(<L>)?&& *other\)/)) {
    # Doxygen does not look at the rest of a body.
    Follow(bare)
    hides = statement ~ /[^ ]/ || scope[depth] != at
    if (hides) print "/** @private */ " $0
    else print ""
    last = ""
    next
  }
  if (begins && !documented && depth > 0) {
    # An overload of what is before, and what mirrors the kernel's header.
    if (match(plain, /[A-Za-z]+\(/) && last == substr(plain, RSTART, RLENGTH)) {
      $0 = "/** @overload */ " $0
    } else if (FILENAME ~ /wire\/(structs|objects)\.h$/ && bare == $0 &&
               bare ~ /^  +[A-Za-z:_0-9]+ [a-z_0-9]+( = [^;]*)?;/) {
      $0 = "/** As in the kernel's header. */ " $0
    }
  }
  if (begins) last = match(plain, /[A-Za-z]+\(/) ? substr(plain, RSTART, RLENGTH) : ""
  if (FILENAME ~ /wire\/(structs|objects)\.h$/ && bare ~ /^ *} [a-z_]+;/) {
    $0 = $0 " /**< As in the kernel's header. */"
  }
  Follow(bare)
  # A declaration with a comment behind it.
  if (at && match($0, /[^ ] +\/\/ [^ ]/) && bare !~ /^ *[#}]/ && bare ~ /[;,}] *$/) {
    match($0, /\/\/ /)
    after = RSTART
    print Marked(substr($0, 1, RSTART - 1) "///<", substr($0, RSTART + 2))
    next
  }
  print
}

END { Flush(0) }
