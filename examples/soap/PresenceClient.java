import java.net.MalformedURLException;
import java.net.URL;
import java.util.List;
import javax.xml.ws.BindingProvider;
import javax.xml.ws.Holder;
import javax.xml.ws.soap.SOAPFaultException;
import org.w3c.dom.NodeList;
import presence.Contact;
import presence.ContactListType;
import presence.Login;
import presence.LoginResponse;
import presence.PresenceResponse;
import presence.PresenceSoapPortType;
import presence.PresenceSoapService;
import presence.PresenceType;
import presence.Unsubscribe;

/**
 * Prints the presence of contacts, with JAX-WS and what wsimport makes of the WSDL.
 *
 * <pre>SOAP_PASSWORD=secret java ... PresenceClient http://127.0.0.1:8082/presence-service/soap ann@example.com</pre>
 *
 * SOAP_USER, SOAP_PASSWORD: the application user. SOAP_END_USER: who subscribes. SOAP_CALLBACK: where notifications go.
 */
public final class PresenceClient {
    private static final int SESSION_KEY_NOT_VALID = 101;

    private final PresenceSoapPortType server;

    private PresenceClient(String url) throws MalformedURLException {
        server = new PresenceSoapService(new URL(url + "?wsdl")).getPresenceSoapPort();
        // The address in the WSDL is a placeholder.
        ((BindingProvider) server).getRequestContext().put(BindingProvider.ENDPOINT_ADDRESS_PROPERTY, url);
    }

    public static void main(String[] arguments) throws MalformedURLException {
        new PresenceClient(arguments[0]).run(List.of(arguments).subList(1, arguments.length));
    }

    private void run(List<String> uris) {
        ContactListType contacts = new ContactListType();
        uris.stream().map(PresenceClient::contact).forEach(contacts.getContact()::add);

        Login password = new Login();
        password.setUsername(setting("SOAP_USER", "pwsapp"));
        password.setPassword(setting("SOAP_PASSWORD", "secret"));
        String application = login(password);
        try {
            Login endUser = new Login();
            endUser.setUsername(setting("SOAP_END_USER", "dispatcher"));
            endUser.setAppSessionId(application);
            String user = login(endUser);
            System.out.println("logged in");

            Holder<Integer> endpoint = new Holder<>(0); // 0: a new one
            String callback = setting("SOAP_CALLBACK", "http://127.0.0.1:8080/presence");
            server.registerEndPoint(callback, endpoint, 3600, application);
            Holder<Integer> subscription = new Holder<>(0);
            server.subscribe(contacts, "PRESENCE_NOTIFICATION", 3600, endpoint.value, subscription, user);
            System.out.printf("endpoint %d, subscription %d%n", endpoint.value, subscription.value);

            print("fetched", server.getSubscribedPresence(subscription.value, PresenceType.BASIC_PRESENCE, user));
            print("polled", server.getPolledPresence(contacts, PresenceType.BASIC_PRESENCE, user));

            Unsubscribe.UnsubscribeRequest everybody = new Unsubscribe.UnsubscribeRequest();
            everybody.setSubscriptionID(subscription.value);
            everybody.setUnsubscribeAll("");
            server.unsubscribe(everybody, user);
            server.unregisterEndPoint(endpoint.value, application);
            server.logout(user);

            try {
                server.getPolledPresence(contacts, PresenceType.BASIC_PRESENCE, user);
            } catch (SOAPFaultException fault) {
                if (code(fault) != SESSION_KEY_NOT_VALID) throw fault;
                System.out.println("fault 101: the session is over, log in again");
            }
        } finally {
            server.logout(application); // takes along the end users, endpoints and subscriptions that are left
            System.out.println("logged out");
        }
    }

    /** The key of a new session; with force=false it is the one from before, if that lives. */
    private String login(Login credentials) {
        credentials.setForce(false);
        LoginResponse response = server.login(credentials);
        if (response.getSuccess() == null) {
            throw new IllegalStateException("homed on another node: " + response.getRedirect().getPrimaryServer());
        }
        return response.getSuccess().getSessionKey();
    }

    private static Contact contact(String uri) {
        Contact contact = new Contact();
        contact.setContactURI(uri);
        return contact;
    }

    private static void print(String how, PresenceResponse response) {
        if (response.getBasicPresenceList() == null) return; // nothing has changed
        response.getBasicPresenceList().getContact().forEach(contact ->
            System.out.printf("%s: %s %s%n", how, contact.getContactURI(), contact.getPresenceStatus()));
    }

    /** The code in the fault's detail, 0 where there is none: texts vary between releases, codes do not. */
    private static int code(SOAPFaultException fault) {
        if (!fault.getFault().hasDetail()) return 0;
        NodeList codes = fault.getFault().getDetail().getElementsByTagNameNS("*", "code");
        return codes.getLength() == 0 ? 0 : Integer.parseInt(codes.item(0).getTextContent().trim());
    }

    private static String setting(String name, String otherwise) {
        return System.getenv().getOrDefault(name, otherwise);
    }
}
