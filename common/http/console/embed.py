#!/usr/bin/env python3
"""Writes C++ with a page and its Content-Security-Policy: nothing runs in it but its own script, by its hash.

Usage: embed.py console.html > console_page.cc
"""
import base64
import hashlib
import re
import sys

LITERAL_MAX = 8000  # bytes; compilers promise to take so much


def hashes(page, tag):
    inside = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    return " ".join("'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'" for text in inside)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        page = file.read()
    policy = "; ".join([
        "default-src 'none'",
        f"script-src {hashes(page, 'script')}",
        f"style-src {hashes(page, 'style')}",
        "img-src data:",  # the empty icon
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ])
    print('#include "common/http/console/console_page.h"\n\nnamespace stele::http {\n')
    print(f'const char kConsolePolicy[] = R"_({policy})_";')
    print("const char kConsolePage[] =")
    for begin in range(0, len(page), LITERAL_MAX // 4):
        print(f'R"_({page[begin:begin + LITERAL_MAX // 4]})_"')
    print(";\n\n}  // namespace stele::http")


main()
