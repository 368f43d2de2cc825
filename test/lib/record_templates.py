"""Records what the original says about templates, for template.test.ts: `python record_templates.py > recorded/templates.json`."""

import json
import random

from jinja2.exceptions import TemplateSyntaxError
from prefect.server.utilities.user_templates import TemplateSecurityError, validate_user_template

TEMPLATES = [
    "", "plain", "{{ x }}", "{{ x", "{{", "{%", "{#", "{# x", "{# x #}", "{#- x -#}", "{{ }}", "{{ x }", "{{ x y }}",
    "{{ 'x }}", "{{ 'it\\'s' }}", "{{ '\\x4' }}", "{{ '\\u12' }}", "{{ '\\N' }}", "{{ '\\U99999999' }}", "{{ a ! b }}",
    "{{ a.b.c[1]['x'](y, z=3, *a, **k) }}", "{{ a.1 }}", "{{ a. }}", "{{ a.'x' }}", "{{ a[] }}", "{{ a[1:2:3] }}",
    "{{ a[:] }}", "{{ a[1:2, 3] }}", "{{ f(a=1, b) }}", "{{ f(*a, *b) }}", "{{ f(**a, b=1) }}", "{{ f(a,) }}",
    "{{ f(,) }}", "{{ f(a b) }}", "{{ [1, 2,] }}", "{{ [,] }}", "{{ {'a': 1, 'b': 2,} }}", "{{ {'a'} }}", "{{ {'a': } }}",
    "{{ (1, 2) }}", "{{ (1,) }}", "{{ () }}", "{{ 1, }}", "{{ (1 }}", "{{ 1) }}", "{{ (1] }}", "{{ {1: {2: 3}}}}",
    "{{ -1 + +2 * 3 ** 4 // 5 % 6 / 7 ~ 'x' }}", "{{ 1 + }}", "{{ not not a }}", "{{ a and b or not c }}", "{{ a in b }}",
    "{{ a not in b }}", "{{ a not b }}", "{{ a < b <= c != d }}", "{{ a if b else c }}", "{{ a if b }}", "{{ a if }}",
    "{{ a else b }}", "{{ a|upper|default('x')|foo.bar }}", "{{ a| }}", "{{ a|'x' }}", "{{ a is defined }}",
    "{{ a is not defined and b }}", "{{ a is divisibleby 3 }}", "{{ a is divisibleby(3) }}", "{{ a is x is y }}",
    "{{ a is }}", "{{ a is foo.bar }}", "{{ a is in [1] }}", "{{ 1_000 }}", "{{ 0x1f + 0b1 + 0o7 + 1.5e3 }}", "{{ 1.5.2 }}",
    "{{ 1a }}", "{{ ä }}", "{{ a² }}", "{{ €  }}", "{{ '😀' ! }}", "{{ x }}\n{{ y z }}", "a\r\nb\r{{ x y }}", "{{ x }}\n",
    "{{ true = 1 }}", "{{ 'a' 'b' }}", "{{ a; b }}", "{{ a }} {{ b %}", "{{ a %}", "{% if a %}", "{% if a %}x{% endif %}",
    "{% if a %}x{% elif b %}y{% else %}z{% endif %}", "{% if %}x{% endif %}", "{% if a %}x{% else %}y{% elif b %}{% endif %}",
    "{% if a %}x{% endfor %}", "{% endif %}", "{% if a }}", "{% if a: %}x{% endif %}", "{% if a %}x{% endif b %}",
    "{% for a in b %}x{% endfor %}", "{% for a, b in c %}x{% else %}y{% endfor %}", "{% for a in b if c recursive %}{% endfor %}",
    "{% for a in b recursive %}{% endfor %}", "{% for in b %}{% endfor %}", "{% for a b %}{% endfor %}", "{% for a in %}",
    "{% for 1 in b %}{% endfor %}", "{% for true in b %}{% endfor %}", "{% for (a, b), c in d %}{% endfor %}",
    "{% for a in b %}{% for c in d %}{% endfor %}{% endfor %}", "{% for a in b %}{% if c %}{% endfor %}{% endif %}",
    "{% for a in b %}{% for c in d %}{% for e in f %}{% endfor %}{% endfor %}{% endfor %}",
    "{% for a in b %}{% else %}{% for c in d %}{% else %}{% for e in f %}{% endfor %}{% endfor %}{% endfor %}",
    "{% for a in b %}{% endfor %}" * 10, "{% for a in b %}{% endfor %}" * 11, "{% for a in b %}{% endfor", "{% for a in b %}",
    "{% set a = 1 %}", "{% set a, b = 1, 2 %}", "{% set ns.x = 1 %}", "{% set a.b.c = 1 %}", "{% set a[1] = 1 %}",
    "{% set (a + b) = 1 %}", "{% set [a] = 1 %}", "{% set 'a' = 1 %}", "{% set a %}", "{% set a %}x{% endset %}",
    "{% set a | upper %}x{% endset %}", "{% set a b %}", "{% set = 1 %}", "{% set a = %}", "{% set none = 1 %}",
    "{% set a, 1 = 2 %}", "{% set () = 2 %}", "{% with %}{% endwith %}", "{% with a = 1, b = 2 %}{{ a }}{% endwith %}",
    "{% with a %}{% endwith %}", "{% with a = 1 b = 2 %}{% endwith %}", "{% with 1 = a %}{% endwith %}",
    "{% autoescape true %}x{% endautoescape %}", "{% autoescape %}", "{% block a %}x{% endblock %}",
    "{% block a %}x{% endblock a %}", "{% block a scoped required %} {# x #} {% endblock %}", "{% block a required %}x{% endblock %}",
    "{% block a-b %}{% endblock %}", "{% block %}", "{% block a required %}{{ x }}{% endblock %}", "{% extends 'x' %}",
    "{% extends %}", "{% include 'x' %}", "{% include 'x' ignore missing without context %}", "{% include 'x' with context %}",
    "{% include 'x' with %}", "{% include 'x' ignore %}", "{% import 'x' as y %}", "{% import 'x' as y with context %}",
    "{% import 'x' %}", "{% import 'x' as true %}", "{% from 'x' import y %}", "{% from 'x' import y as z, a with context %}",
    "{% from 'x' import _y %}", "{% from 'x' import %}", "{% from 'x' import y, %}", "{% from 'x' y %}",
    "{% from 'x' import with context %}", "{% macro a(b, c=1) %}x{% endmacro %}", "{% macro a(b=1, c) %}x{% endmacro %}",
    "{% macro a %}", "{% macro a( %}", "{% macro %}", "{% macro a(1) %}{% endmacro %}", "{% call a() %}x{% endcall %}",
    "{% call(b) a(1) %}x{% endcall %}", "{% call a %}x{% endcall %}", "{% filter upper %}x{% endfilter %}",
    "{% filter upper|lower(1) %}x{% endfilter %}", "{% filter %}x{% endfilter %}", "{% print a, b %}", "{% print %}",
    "{% print a b %}", "{% raw %}{{ x }}{% endraw %}", "{% raw %}{{ x", "{% raw %}", "{%- raw -%} x {%- endraw -%}",
    "{% foo %}", "{% 1 %}", "{% %}", "{% 'a' %}", "{% do x %}", "{% break %}", "{% trans %}x{% endtrans %}", "{%- if a -%} x {%- endif -%}",
    "{%+ if a +%}x{% endif %}", "{{- a -}}", "{{+ a }}", "{{ a +}}", "{{ a -}} x", "{# {{ x }} #}{{ y", "{{ '}}' }}", "{{ '{%' }}",
    "{% if a %}{% if b %}x{% endif %}", "{% if a %}\n\n{% foo %}\n{% endif %}", "a\n\n{% for x in y %}\n{{ x\n }}\n{% endfor\n%}{{ 1 2 }}",
    "{{ flow_run.name }} is {{ flow_run.state.name|lower }} at {{ event.occurred.strftime('%H:%M') }}", "{{ a }}}}", "}} %} #}",
    "{{ a.b() | tojson(indent=2) }}", "{% for k, v in event.resource.items() %}{{ k }}: {{ v }}\n{% endfor %}", "{{ a[1 }}",
    "{{ {'a': [1, (2, 3)]}['a'][1] }}", "{{ a ? b : c }}", "{{ a && b }}", "{{ a == }}", "{{ == a }}", "{{ a.b.c d.e }}",
    "{{ lambda: 1 }}", "{{ a := 1 }}", "{{ `x` }}", "{{ a @ b }}", "{{ \\ }}", "{{ $x }}", "{{ a\n\n! }}", "{{ is }}", "{{ not }}", "{{ in }}",
]
PIECES = [
    "{{", "}}", "{%", "%}", "{#", "#}", "-", "+", " ", "a", "b.c", "'x'", "1", "(", ")", "[", "]", "{", "}", ",", ":", "|", "if", "else",
    "endif", "for", "in", "endfor", "set", "=", "is", "not", "and", "raw", "endraw", "\n", "text", "~", "*", "**", "==", "block", "endblock",
]


def say(template: str) -> list:
    try:
        validate_user_template(template)
    except (TemplateSyntaxError, TemplateSecurityError) as error:
        return [template, error.lineno, error.message]
    return [template]


def main() -> None:
    source = random.Random(12)
    made = {" ".join(source.choices(PIECES, k=source.randint(2, 14))) for _ in range(400)}
    made |= {"{% " + " ".join(source.choices(PIECES[6:], k=source.randint(1, 8))) + " %}{% endif %}" for _ in range(200)}
    made |= {"{{ " + " ".join(source.choices(PIECES[6:], k=source.randint(1, 8))) + " }}" for _ in range(300)}
    lines = [json.dumps(say(template)) for template in [*TEMPLATES, *sorted(made)]]
    print("[\n" + ",\n".join(lines) + "\n]")


main()
