<?php
/**
 * Prints the presence of contacts, with PHP's SoapClient (php-soap).
 *
 *     SOAP_PASSWORD=secret php presence.php http://127.0.0.1:8082/presence-service/soap ann@example.com joe@example.com
 *
 * SOAP_USER, SOAP_PASSWORD: the application user. SOAP_END_USER: who subscribes. SOAP_CALLBACK: where notifications go.
 * SOAP_VERSION=1.2: that version instead of 1.1.
 */

declare(strict_types=1);

const PWS = 'urn:cisco:cup:presence:soap';
const SESSION_KEY_NOT_VALID = 101;

function setting(string $name, string $default): string
{
    return getenv($name) ?: $default;
}

/** The code in the fault's detail, 0 where there is none: texts vary between releases, codes do not. */
function code_of(SoapFault $fault): int
{
    return (int) ($fault->detail->description->code ?? 0);
}

/** The key of a session that a login has made. */
function session_key(object $login): string
{
    if (!isset($login->success)) {
        throw new RuntimeException("homed on another node: {$login->redirect->primaryServer}");
    }
    return $login->success->{'session-key'};
}

function print_presence(string $how, object $reply): void
{
    foreach ($reply->presenceResponse->basicPresenceList->contact ?? [] as $contact) {
        echo "$how: $contact->contactURI $contact->presenceStatus\n";
    }
}

[, $url] = $argv;
$contacts = ['contact' => array_map(fn (string $uri): array => ['contactURI' => $uri], array_slice($argv, 2))];

$soap = new SoapClient("$url?wsdl", [
    'location' => $url, // the address in the WSDL is a placeholder
    'soap_version' => setting('SOAP_VERSION', '1.1') === '1.2' ? SOAP_1_2 : SOAP_1_1,
    'cache_wsdl' => WSDL_CACHE_NONE,
    'features' => SOAP_SINGLE_ELEMENT_ARRAYS, // a list of one contact is a list, too
]);

/** One operation, with the session's key in the SOAP header. */
$call = fn (string $key, string $operation, array $content = []): object =>
    $soap->__soapCall($operation, [$content], null, new SoapHeader(PWS, 'session-key', $key));

$password = ['username' => setting('SOAP_USER', 'pwsapp'), 'password' => setting('SOAP_PASSWORD', 'secret')];
$application = session_key($soap->login($password + ['force' => false])); // false: the same key as before, if it lives
try {
    $end_user = ['username' => setting('SOAP_END_USER', 'dispatcher'), 'app-session-id' => $application];
    $user = session_key($soap->login($end_user + ['force' => false]));
    echo "logged in\n";

    $endpoint = $call($application, 'registerEndPoint', [
        'url' => setting('SOAP_CALLBACK', 'http://127.0.0.1:8080/presence'), 'endPointID' => 0, 'expiration' => 3600,
    ])->endPointID;
    $subscription = $call($user, 'subscribe', [
        'contactsList' => $contacts, 'subscriptionType' => 'PRESENCE_NOTIFICATION', 'expiration' => 3600,
        'endPointID' => $endpoint, 'subscriptionID' => 0,
    ])->subscriptionID;
    echo "endpoint $endpoint, subscription $subscription\n";

    $basic = ['presenceType' => 'BASIC_PRESENCE'];
    print_presence('fetched', $call($user, 'getSubscribedPresence', ['subscriptionID' => $subscription] + $basic));
    print_presence('polled', $call($user, 'getPolledPresence', ['contactsList' => $contacts] + $basic));

    $call($user, 'unsubscribe', ['unsubscribeRequest' => ['subscriptionID' => $subscription, 'unsubscribeAll' => '']]);
    $call($application, 'unregisterEndPoint', ['endPointID' => $endpoint]);
    $call($user, 'logout');

    try {
        $call($user, 'getPolledPresence', ['contactsList' => $contacts] + $basic);
    } catch (SoapFault $fault) {
        if (code_of($fault) !== SESSION_KEY_NOT_VALID) {
            throw $fault;
        }
        echo "fault 101: the session is over, log in again\n";
    }
} finally {
    $call($application, 'logout'); // takes along the end users, endpoints and subscriptions that are left
    echo "logged out\n";
}
