// Drives the npm package "sip" for node_sip.py: one JSON object a line, commands on standard input, events on standard output.
//
// argument: {"module": folder of the package, "address", "port" (UDP and TCP), "tls_port", "tls": options of node's tls module}
// command:  {"id", "method", "uri", "to", "type", "content", "headers"}
// events:   "ready"; "request" (answered with 200); "response" to a command; "accepted" and "refused" TLS connections
'use strict';

const tls = require('tls');

const configuration = JSON.parse(process.argv[2]);
const sip = require(configuration.module);
const textOf = content => Buffer.from(content || '', 'binary').toString('utf8');
const binaryOf = text => Buffer.from(text || '', 'utf8').toString('binary');

function say(event) {
  process.stdout.write(JSON.stringify(event) + '\n');
}

// The package keeps its TLS server to itself; what it accepted or refused is heard here.
const createServer = tls.createServer;
tls.createServer = (options, callback) => {
  const server = createServer(options, callback);
  server.on('secureConnection', socket => {
    const certificate = socket.getPeerCertificate();
    say({event: 'accepted', version: socket.getProtocol(), names: certificate && certificate.subjectaltname || ''});
  });
  server.on('tlsClientError', error => say({event: 'refused', code: error.code || '', text: error.message}));
  return server;
};

const connect = tls.connect;
tls.connect = (...parameters) => {
  const socket = connect(...parameters);
  socket.on('error', error => say({event: 'failed', code: error.code || '', text: error.message}));
  return socket;
};

// It answers 404 itself to what it is told to send to a host of its own name, so its name is not its address.
const options = {address: configuration.address, publicAddress: 'localhost', port: configuration.port};
if (configuration.tls) {
  const fs = require('fs');
  options.tls_port = configuration.tls_port;
  options.tls = Object.assign({}, configuration.tls, {ca: fs.readFileSync(configuration.tls.ca)});
  for (const name of ['cert', 'key'])
    if (configuration.tls[name])
      options.tls[name] = fs.readFileSync(configuration.tls[name]);
}

sip.start(options, (request, remote) => {
  say({
    event: 'request', method: request.method, uri: request.uri, protocol: remote.protocol, port: remote.port,
    headers: request.headers, content: textOf(request.content)
  });
  const response = sip.makeResponse(request, 200, 'node-sip says yes');
  response.headers.contact = [{uri: `sip:node@${configuration.address}:${configuration.port}`}];
  response.headers.allow = 'OPTIONS, MESSAGE';
  sip.send(response);
});

let number = 0;

function perform(command) {
  const request = {
    method: command.method,
    uri: command.uri,
    headers: Object.assign({
      to: {uri: command.to || command.uri},
      from: {uri: `sip:node@${configuration.address}`, params: {tag: Math.random().toString(36).slice(2)}},
      'call-id': Math.random().toString(36).slice(2) + Date.now(),
      cseq: {method: command.method, seq: ++number},
      'max-forwards': 70
    }, command.headers || {})
  };
  if (command.content) {
    request.headers['content-type'] = command.type || 'text/plain;charset=UTF-8';
    request.content = binaryOf(command.content);
  }
  sip.send(request, response => say({
    event: 'response', id: command.id, status: response.status, reason: response.reason, headers: response.headers
  }));
}

let input = '';
process.stdin.on('data', data => {
  const lines = (input + data).split('\n');
  input = lines.pop();
  lines.forEach(line => perform(JSON.parse(line)));
});
process.stdin.on('end', () => process.exit(0));
say({event: 'ready'});
