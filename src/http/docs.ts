/** The page at /docs: the API's operations, read from the served OpenAPI document. */

const PAGE = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Sluice API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2733}
details{border:1px solid #d5dde5;border-radius:6px;margin:.3rem 0;padding:.3rem .7rem}
summary{cursor:pointer}code{font:13px ui-monospace,monospace}pre{overflow:auto;background:#f4f7f9;padding:.6rem}
.m{display:inline-block;width:4.5rem;font-weight:600}h2{margin:1.5rem 0 .3rem;font-size:1.1rem}
</style></head><body><h1>Sluice API</h1>
<p>The Prefect 3 REST API. The whole document: <a href="/api/openapi.json">/api/openapi.json</a></p><div id="list">Reading…</div>
<script>
const list=document.getElementById("list");
fetch("/api/openapi.json").then(r=>r.json()).then(doc=>{
  list.textContent="";
  let group="";
  for(const [path,item] of Object.entries(doc.paths)){
    for(const [method,operation] of Object.entries(item)){
      const tag=(operation.tags||["API"])[0];
      if(tag!==group){group=tag;const h=document.createElement("h2");h.textContent=tag;list.append(h)}
      const d=document.createElement("details"),s=document.createElement("summary");
      const m=document.createElement("span");m.className="m";m.textContent=method.toUpperCase();
      const c=document.createElement("code");c.textContent=path;
      s.append(m,c," "+(operation.summary||""));d.append(s);
      d.addEventListener("toggle",()=>{
        if(d.children.length>1)return;
        const p=document.createElement("pre");
        p.textContent=JSON.stringify({parameters:operation.parameters,body:operation.requestBody,answers:operation.responses},null,2);
        d.append(p);
      });
      list.append(d);
    }
  }
}).catch(e=>{list.textContent="The document could not be read: "+e});
</script></body></html>`;

/** The docs page. It holds no data of its own. */
export function docsPage(): Response {
  return new Response(PAGE, {
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy":
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'",
    },
  });
}
