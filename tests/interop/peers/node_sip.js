// Drives the npm package "sip" for node_sip.py: one JSON object a line, commands on standard input, events on standard output.
//
// argument: {"module": folder of the package, "address", "port" (UDP and TCP), "tls_port", "tls": options of node's tls module}
// command:  {"id", "method", "uri", "to", "type", "content", "headers", "dialog": Call-ID of one that stands}
// events:   "ready"; "request" (answered with 200, an INVITE first with 180); "response" to a command (a 2xx to INVITE is
//           acknowledged); "accepted" and "refused" TLS connections
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

// What belongs to a dialog, by its Call-ID: who is at either end, and where the other one is.
const dialogs = {};
const answer = [
  'v=0', 'o=node 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0', 'm=audio 50000 RTP/AVP 0',
  'a=rtpmap:0 PCMU/8000', ''
].join('\r\n');

function contactOf(protocol) {
  const secure = protocol === 'TLS';
  const port = secure ? configuration.tls_port : configuration.port;
  return [{uri: `sip:node@${configuration.address}:${port};transport=${protocol.toLowerCase()}`}];
}

function respond(request, remote, status, tag, content) {
  const response = sip.makeResponse(request, status, 'node-sip says yes');
  response.headers.contact = contactOf(remote.protocol);
  response.headers.allow = 'OPTIONS, MESSAGE, INVITE, ACK, CANCEL, BYE, INFO';
  if (tag)
    response.headers.to.params.tag = tag;
  if (content) {
    response.headers['content-type'] = 'application/sdp';
    response.content = content;
  }
  sip.send(response);
}

sip.start(options, (request, remote) => {
  say({
    event: 'request', method: request.method, uri: request.uri, protocol: remote.protocol, port: remote.port,
    headers: request.headers, content: textOf(request.content)
  });
  if (request.method === 'ACK')
    return;
  if (request.method !== 'INVITE')
    return respond(request, remote, 200);
  const callId = request.headers['call-id'], known = request.headers.to.params.tag;
  const tag = known || Math.random().toString(36).slice(2);
  if (!known) {
    const from = {uri: request.headers.to.uri, params: {tag}};
    dialogs[callId] = {from, to: request.headers.from, target: request.headers.contact[0].uri};
    respond(request, remote, 180, tag);
  }
  respond(request, remote, 200, tag, answer);
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
  const dialog = dialogs[command.dialog];
  if (dialog) {
    request.uri = dialog.target;
    Object.assign(request.headers, {to: dialog.to, from: dialog.from, 'call-id': command.dialog});
  }
  if (command.method === 'INVITE')
    request.headers.contact = contactOf(/transport=(\w+)/.test(request.uri) ? RegExp.$1.toUpperCase() : 'UDP');
  if (command.content) {
    request.headers['content-type'] = command.type || 'text/plain;charset=UTF-8';
    request.content = binaryOf(command.content);
  }
  sip.send(request, response => {
    if (command.method === 'INVITE' && response.status >= 200 && response.status < 300)
      acknowledge(response);
    say({
      event: 'response', id: command.id, status: response.status, reason: response.reason, headers: response.headers,
      content: textOf(response.content)
    });
  });
}

function acknowledge(response) {
  const {to, from, cseq, contact} = response.headers, callId = response.headers['call-id'];
  dialogs[callId] = {from, to, target: contact[0].uri};
  const headers = {to, from, 'call-id': callId, cseq: {method: 'ACK', seq: cseq.seq}, 'max-forwards': 70, via: []};
  sip.send({method: 'ACK', uri: contact[0].uri, headers});
}

let input = '';
process.stdin.on('data', data => {
  const lines = (input + data).split('\n');
  input = lines.pop();
  lines.forEach(line => perform(JSON.parse(line)));
});
process.stdin.on('end', () => process.exit(0));
say({event: 'ready'});
