/**
 * Prints the presence of contacts, with node-soap (npm install soap).
 *
 *     SOAP_PASSWORD=secret node presence.mjs http://127.0.0.1:8082/presence-service/soap ann@example.com joe@example.com
 *
 * SOAP_USER, SOAP_PASSWORD: the application user. SOAP_END_USER: who subscribes. SOAP_CALLBACK: where notifications go.
 * SOAP_VERSION=1.2: that version instead of 1.1.
 */

import soap from 'soap';

const PWS = 'urn:cisco:cup:presence:soap';
const SESSION_KEY_NOT_VALID = 101;
const {
    SOAP_USER = 'pwsapp',
    SOAP_PASSWORD = 'secret',
    SOAP_END_USER = 'dispatcher',
    SOAP_CALLBACK = 'http://127.0.0.1:8080/presence',
    SOAP_VERSION = '1.1',
} = process.env;

const [url, ...uris] = process.argv.slice(2);
const contactsList = { contact: uris.map((uri) => ({ attributes: { contactURI: uri } })) };
const presenceType = 'BASIC_PRESENCE';

let client;

/** One operation, with the session's key in the SOAP header; all operations but login have one. */
async function call(operation, content = {}, key = undefined) {
    client.clearSoapHeaders();
    if (key !== undefined) client.addSoapHeader({ 'session-key': key }, '', 'pws', PWS);
    const [reply] = await client[`${operation}Async`](content);
    return reply;
}

/** The key of a new session; with force=false it is the one from before, if that lives. */
async function login(credentials) {
    const { success, redirect } = await call('login', { attributes: { force: false }, ...credentials });
    if (!success) throw new Error(`homed on another node: ${redirect.attributes.primaryServer}`);
    return success['session-key'];
}

/** The code in the fault's detail: texts vary between releases, codes do not. */
function codeOf(error) {
    const fault = error.root?.Envelope?.Body?.Fault;
    return Number((fault?.detail ?? fault?.Detail)?.description?.code);
}

function printPresence(how, { presenceResponse }) {
    for (const { attributes } of [presenceResponse.basicPresenceList?.contact ?? []].flat()) {
        console.log(`${how}: ${attributes.contactURI} ${attributes.presenceStatus}`);
    }
}

async function main() {
    client = await soap.createClientAsync(`${url}?wsdl`, {
        endpoint: url, // the address in the WSDL is a placeholder
        forceSoap12Headers: SOAP_VERSION === '1.2',
    });
    const application = await login({ username: SOAP_USER, password: SOAP_PASSWORD });
    try {
        const user = await login({ username: SOAP_END_USER, 'app-session-id': application });
        console.log('logged in');

        const { endPointID } = await call('registerEndPoint', {
            url: SOAP_CALLBACK, endPointID: 0, expiration: 3600,
        }, application);
        const { subscriptionID } = await call('subscribe', {
            contactsList, subscriptionType: 'PRESENCE_NOTIFICATION', expiration: 3600, endPointID, subscriptionID: 0,
        }, user);
        console.log(`endpoint ${endPointID}, subscription ${subscriptionID}`);

        printPresence('fetched', await call('getSubscribedPresence', { subscriptionID, presenceType }, user));
        printPresence('polled', await call('getPolledPresence', { contactsList, presenceType }, user));

        await call('unsubscribe', { unsubscribeRequest: { subscriptionID, unsubscribeAll: '' } }, user);
        await call('unregisterEndPoint', { endPointID }, application);
        await call('logout', {}, user);

        try {
            await call('getPolledPresence', { contactsList, presenceType }, user);
        } catch (error) {
            if (codeOf(error) !== SESSION_KEY_NOT_VALID) throw error;
            console.log('fault 101: the session is over, log in again');
        }
    } finally {
        await call('logout', {}, application); // takes along the end users, endpoints and subscriptions that are left
        console.log('logged out');
    }
}

// An error of node-soap holds the whole request, with the password: only its message is printed.
main().catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
});
