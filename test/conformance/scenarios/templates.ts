/** The check of a template's syntax. */
import type { Scenario, World } from "../play.ts";

export const templates: Scenario = { name: "templates", play: playTemplates };

const TEMPLATES: Record<string, string> = {
  empty: "",
  text: "The flow ended.",
  "a value": "{{ flow.name }} of {{ flow_run['name'] | default('nobody') }}",
  "a condition": "{% if flow_run.state %}yes{% elif flow %}perhaps{% else %}no{% endif %}",
  "a loop": "{% for tag in flow_run.tags %}{{ loop.index }}: {{ tag }}{% endfor %}",
  "a comment": "{# nothing #}",
  "an open value": "{{ flow.name",
  "an open condition": "{% if flow %}yes",
  "an unknown tag": "{% fly %}",
  "an end without a beginning": "{% endfor %}",
  "an open text": "{{ 'name }}",
  "an operator without a right side": "{{ 1 + }}",
  "an unknown filter": "{{ flow | fly }}",
  "a fault in the third line": "one\ntwo\n{{ three",
  "a loop in a loop": "{% for a in b %}{% for c in a %}{{ c }}{% endfor %}{% endfor %}",
  "three loops": "{% for a in b %}{% for c in a %}{% for d in c %}{{ d }}{% endfor %}{% endfor %}{% endfor %}",
  "a call": "{{ range(3) }}",
};

async function playTemplates(world: World): Promise<void> {
  for (const path of ["/templates/validate", "/automations/templates/validate"]) {
    const request = `POST ${path}`;
    for (const [name, template] of Object.entries(TEMPLATES)) {
      await world.send(`${path} ${name}`, request, { body: template });
    }
    await world.send(`${path} no body`, request);
    await world.send(`${path} null`, request, { raw: "null" });
    await world.send(`${path} object`, request, { body: { template: "x" } });
  }
}
