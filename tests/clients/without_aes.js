// without_aes: to be required before a program: its Node says that it was built without AES-GCM, as some are, so that
// libraries which prefer it take their second choice.
'use strict';

const crypto = require('node:crypto');

const all = crypto.getCiphers;
crypto.getCiphers = () => all().filter(name => name !== 'aes-256-gcm');
