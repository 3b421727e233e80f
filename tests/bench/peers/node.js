// Node's own http module, with two functions in front of the handler.
const http = require("http");

let requests = 0;
const keys = new WeakMap();
const chain = [
  (req, res, next) => { requests++; next(); },
  (req, res, next) => { keys.set(req, "user"); next(); },
  handle,
];

function text(res, status, body, type = "text/plain; charset=utf-8") {
  res.writeHead(status, { "Content-Type": type, "Content-Length": Buffer.byteLength(body) });
  res.end(body);
}

function echo(req, res) {
  const pieces = [];
  req.on("data", (piece) => pieces.push(piece));
  req.on("end", () => {
    const value = JSON.parse(Buffer.concat(pieces).toString());
    text(res, 200, JSON.stringify(value), "application/json; charset=utf-8");
  });
}

function handle(req, res) {
  const path = req.url.split("/");
  if (req.method === "GET" && path[1] === "hello" && path.length === 3)
    text(res, 200, `hello, ${decodeURIComponent(path[2])}!\n`);
  else if (req.method === "POST" && req.url === "/json")
    echo(req, res);
  else
    text(res, 404, "404 Not Found\n");
}

const server = http.createServer((req, res) => {
  const run = (at) => chain[at](req, res, () => run(at + 1));
  run(0);
});
server.listen(0, "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
