# Turns files into one C file with a table of their bytes (report/assets.h).
#   cmake -D OUTPUT=assets.c -D "FILES=name=path;name=path" -P embed.cmake
set(tables "")
set(arrays "")
set(index 0)
foreach(entry IN LISTS FILES)
  string(REGEX MATCH "^([^=]+)=(.+)$" matched "${entry}")
  set(name "${CMAKE_MATCH_1}")
  file(READ "${CMAKE_MATCH_2}" bytes HEX)
  string(LENGTH "${bytes}" digits)
  math(EXPR size "${digits} / 2")
  string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(APPEND arrays "static const unsigned char file_${index}[] = {\n${bytes}0};\n")
  string(APPEND tables "    {\"${name}\", (const char *)file_${index}, ${size}},\n")
  math(EXPR index "${index} + 1")
endforeach()
file(WRITE "${OUTPUT}"
  "/* Made by cmake/embed.cmake. */\n#include \"report/assets.h\"\n\n${arrays}\n"
  "const struct asset assets[] = {\n${tables}    {0, 0, 0},\n};\n")
