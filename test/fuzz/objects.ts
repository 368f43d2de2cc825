/** Objects of a fixed form for fields whose schema allows any object, most of them valid. Marks stand for rows and for large values. */
import type { Hint } from "./hints.ts";

/** Objects that most servers accept, and objects that break a careless one. */
export interface Choice {
  valid: readonly string[];
  hostile: readonly string[];
}

const REFERENCE = '{"$ref":{"block_document_id":"«block_document:1»"}}';
const BLOCK_REFERENCE = '{"block_type_slug":"«block_type_slug:0»","block_schema_checksum":"«block_schema_checksum:0»"}';

const JOB_TEMPLATES: Choice = {
  valid: [
    '{"job_configuration":{"command":"{{ command }}"},"variables":{"type":"object","properties":{"command":{"type":"string","default":"x"}}}}',
    `{"job_configuration":{},"variables":{"type":"object","properties":{"b":{"type":"object","default":${REFERENCE}}}}}`,
    "{}",
  ],
  hostile: [],
};

/** JSON Schemas: of forms, circular, exponential, and with patterns that take a careless engine forever. */
const SCHEMAS: Choice = {
  valid: [
    '{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}',
    '{"type":"object","properties":{"a":{"items":{"type":"string"}},"n":{"anyOf":[{"type":"string"},{"type":"null"}]}}}',
    '{"type":"object"}',
    "{}",
  ],
  hostile: [
    '{"$ref":"#"}',
    '{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}',
    '{"properties":{"a":{"$ref":"#"},"n":{"$dynamicRef":"#"}}}',
    '{"$ref":"#/definitions/missing"}',
    '{"properties":{"a":{"type":"string","pattern":"^(a+)+$"},"n":{"pattern":"(x|x)*y"}}}',
    '{"patternProperties":{"(a*)*b":{"type":"string"},"^.*.*.*$":{}}}',
    '{"properties":{"n":{"type":"string","format":"date-time"},"a":{"format":"idn-email"}}}',
    '{"unevaluatedProperties":false,"allOf":[{"properties":{"n":{}}}],"if":{"required":["n"]},"then":{"minProperties":1}}',
    '{"allOf":[«schemas:2000»]}',
    "«doubling:22»",
    "«definitions:300»",
  ],
};

/** Values that stand for others, also inside one another, and values that schemas refuse. */
const VALUES: Choice = {
  valid: ['{"n":1}', '{"n":1152921504606846977}', '{"n":"x","a":["x",1,null]}'],
  hostile: [
    '{"n":{"__prefect_kind":"json","value":"[1, 2"}}',
    '{"n":{"__prefect_kind":"workspace_variable","variable_name":"«variable_name:0»"}}',
    '{"n":{"__prefect_kind":"jinja","template":"{{ a"},"a":{"__prefect_kind":"none","value":1}}',
    '{"n":{"__prefect_kind":"json","value":{"__prefect_kind":"workspace_variable","variable_name":"«variable_name:1»"}}}',
    '{"__prefect_kind":"workspace_variable","variable_name":7}',
    '{"n":«kinds:400»}',
    '{"a":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"}',
    '{"a":«list:2000»}',
    String.raw`{"\ud800":1}`,
    '{"__proto__":{"n":1},"constructor":{"n":1},"n":{"__proto__":[]}}',
  ],
};

const FIELDS_OF_SCHEMAS: Choice = {
  valid: [
    '{"title":"«fresh:0»","type":"object","properties":{"n":{"type":"integer"}},"secret_fields":["n"]}',
    '{"title":"«fresh:0»","type":"object","secret_fields":["password","headers.*","a.b.c"]}',
    `{"title":"«fresh:0»","type":"object","block_schema_references":{"inner":${BLOCK_REFERENCE}}}`,
    `{"title":"«fresh:0»","block_schema_references":{"inner":[${BLOCK_REFERENCE},${BLOCK_REFERENCE}]}}`,
    `{"title":"«fresh:0»","properties":{"x":{"$ref":"#/definitions/B"}},"block_schema_references":{"x":{"block_type_slug":"«block_type_slug:0»","block_schema_checksum":"sha256:«fresh:0»"}},"definitions":{"B":{"title":"B","block_type_slug":"«block_type_slug:0»","n":"«fresh:0»"}}}`,
  ],
  hostile: [
    '{"title":"«fresh:0»","definitions":{"a":{"$ref":"#/definitions/b"},"b":{"$ref":"#/definitions/a"},"__proto__":{"x":1}}}',
    '{"title":"«fresh:0»","definitions":{"B":{"block_type_slug":"«text:5000»"},"constructor":{"block_type_slug":null}}}',
    '{"title":"«fresh:0»","secret_fields":«list:20001»}',
    '{"title":"«fresh:0»","secret_fields":["*","","..",".*","__proto__.x",7,null]}',
    '{"title":"«fresh:0»","block_schema_references":{"x":{"block_type_slug":7}},"__proto__":{"a":1}}',
    '{"title":"«fresh:0»","p":"«text:600000»"}',
    "«definitions:300»",
  ],
};

const DATA_OF_BLOCKS: Choice = {
  valid: [
    '{"n":1,"password":"hush","headers":{"a":1,"b":{"c":null}}}',
    '{"value":"text"}',
    "{}",
    `{"a":${REFERENCE}}`,
    `{"inner":${REFERENCE},"password":"********","headers":{"a":"********"}}`,
    '{"a":{"$ref":{"block_document_id":"«block_document:0»"}},"b":{"$ref":{"block_document_id":"«block_document:0»"}}}',
  ],
  hostile: [
    '{"a":{"$ref":{"block_document_id":"0199f7d4-3c3c-7c3c-8c3c-3c3c3c3c3c3c"}}}',
    '{"a":{"$ref":null},"b":{"$ref":{"block_document_id":7}}}',
    `{"a":{"b":${REFERENCE}},"c":[${REFERENCE}]}`,
    "«references:300»",
    "«references:1001»",
    `{"__proto__":${REFERENCE},"constructor":${REFERENCE},"":${REFERENCE}}`,
    '{"__proto__":{"password":1},"headers":{"__proto__":{"a":1},"constructor":"x"},"login":{"pin":[1]}}',
    '{"password":«object:600»,"headers":{"a":"«text:1000000»"}}',
    '{"a":"«text:1000000»","b":"«text:1000000»"}',
  ],
};

const METADATA: Choice = {
  valid: ['{"a":"b"}', "{}"],
  hostile: ['{"a":"«text:5000»"}', '{"__proto__":"x","a":"«emoji:2000»"}'],
};

/** Filters of `POST /ui/task_runs/dashboard/counts`, which needs the time of a start. */
const STARTED: Choice = {
  valid: [
    '{"start_time":{"after_":"2026-11-27T12:00:00Z"}}',
    '{"start_time":{"after_":"2020-01-01T00:00:00Z","before_":"2099-01-01T00:00:00Z"}}',
  ],
  hostile: [
    '{"start_time":{"after_":"0001-01-01T00:00:00Z","before_":"9999-12-31T23:59:59.999999Z"}}',
    '{"start_time":{"after_":"9999-12-31T23:59:59.999999Z","before_":"0001-01-01T00:00:00Z"}}',
    '{"operator":"or_","start_time":{"after_":"2026-11-27T12:00:00Z","is_null_":true}}',
  ],
};

/** The objects by the name of the field, and by the first part of the path of the operation. */
const OBJECTS: readonly (readonly [name: RegExp, operation: RegExp, objects: Choice])[] = [
  [/^base_job_template$/, /./, JOB_TEMPLATES],
  [/^(parameter_openapi_schema|schema)$/, /./, SCHEMAS],
  [/^(parameters|values)$/, /./, VALUES],
  [/^fields$/, /^block_schemas$/, FIELDS_OF_SCHEMAS],
  [/^data$/, /^block_documents$/, DATA_OF_BLOCKS],
  [/^metadata_$/, /^artifacts$/, METADATA],
  [/^task_runs$/, /^ui$/, STARTED],
];

/** Valid and hostile objects for a field that allows any object, or that needs some of its fields. */
export function objectsOf({ name, path }: Hint): Choice | undefined {
  return OBJECTS.find(([pattern, operation]) => pattern.test(name) && operation.test(path[0] ?? ""))?.[2];
}
