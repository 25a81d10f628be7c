// Prints the presence of contacts, with what Mono's wsdl makes of the WSDL (wsdl.exe of .NET Framework does the same).
//
//     SOAP_PASSWORD=secret mono PresenceClient.exe http://127.0.0.1:8082/presence-service/soap ann@example.com
//
// SOAP_USER, SOAP_PASSWORD: the application user. SOAP_END_USER: who subscribes. SOAP_CALLBACK: where notifications go.
// SOAP_VERSION=1.2: that version instead of 1.1.

using System;
using System.Linq;
using System.Net;
using System.Web.Services.Protocols;
using Presence;

public static class PresenceClient
{
    const int SessionKeyNotValid = 101;

    static string Setting(string name, string otherwise) => Environment.GetEnvironmentVariable(name) ?? otherwise;

    /// <summary>The server, called with the session's key in the SOAP header; without one to log in.</summary>
    static PresenceSoapService Server(string url, string key = null)
    {
        return new PresenceSoapService
        {
            Url = url, // the address in the WSDL is a placeholder
            SoapVersion = Setting("SOAP_VERSION", "1.1") == "1.2" ? SoapProtocolVersion.Soap12 : SoapProtocolVersion.Soap11,
            // "string" is how wsdl calls the header's class, after the type of the element session-key.
            sessionkey = key == null ? null : new @string { Text = new[] { key } },
        };
    }

    /// <summary>The key of a new session; with force=false it is the one from before, if that lives.</summary>
    static string Login(string url, string username, string credential, ItemChoiceType kind)
    {
        var reply = Server(url).login(new login
        {
            username = username, Item = credential, ItemElementName = kind, force = false, forceSpecified = true,
        });
        if (reply.Item is LoginResponseRedirect redirect)
            throw new InvalidOperationException("homed on another node: " + redirect.primaryServer);
        return ((LoginResponseSuccess)reply.Item).sessionkey;
    }

    /// <summary>The code in the fault's detail, 0 without one: texts vary between releases, codes do not.</summary>
    static int CodeOf(SoapException fault)
    {
        var code = fault.Detail?.SelectSingleNode(".//*[local-name() = 'code']");
        return code == null ? 0 : int.Parse(code.InnerText);
    }

    static void Print(string how, PresenceResponse response)
    {
        foreach (var contact in response.basicPresenceList ?? new ContactStatusType[0])
            Console.WriteLine($"{how}: {contact.contactURI} {contact.presenceStatus}");
    }

    public static void Main(string[] arguments)
    {
        var url = arguments[0];
        var contacts = arguments.Skip(1).Select(uri => new Contact { contactURI = uri }).ToArray();

        var key = Login(url, Setting("SOAP_USER", "pwsapp"), Setting("SOAP_PASSWORD", "secret"), ItemChoiceType.password);
        var application = Server(url, key);
        try
        {
            var user = Server(url, Login(url, Setting("SOAP_END_USER", "dispatcher"), key, ItemChoiceType.appsessionid));
            Console.WriteLine("logged in");

            var endpoint = application.registerEndPoint(new registerEndPoint
            {
                url = Setting("SOAP_CALLBACK", "http://127.0.0.1:8080/presence"), endPointID = 0, expiration = 3600,
            }).endPointID;
            var subscription = user.subscribe(new subscribe
            {
                contactsList = contacts, subscriptionType = "PRESENCE_NOTIFICATION",
                expiration = 3600, expirationSpecified = true, endPointID = endpoint, subscriptionID = 0,
            }).subscriptionID;
            Console.WriteLine($"endpoint {endpoint}, subscription {subscription}");

            var basic = PresenceType.BASIC_PRESENCE;
            var fetch = new getSubscribedPresence { subscriptionID = subscription, presenceType = basic };
            var poll = new getPolledPresence { contactsList = contacts, presenceType = basic };
            Print("fetched", user.getSubscribedPresence(fetch).presenceResponse);
            Print("polled", user.getPolledPresence(poll).presenceResponse);

            // A plain object is the element unsubscribeAll, with nothing in it.
            var everybody = new unsubscribeUnsubscribeRequest { subscriptionID = subscription, Item = new object() };
            user.unsubscribe(new unsubscribe { unsubscribeRequest = everybody });
            application.unregisterEndPoint(new unregisterEndPoint { endPointID = endpoint });
            user.logout(new logout());

            try
            {
                user.getPolledPresence(poll);
            }
            catch (SoapException fault) when (CodeOf(fault) == SessionKeyNotValid)
            {
                Console.WriteLine("fault 101: the session is over, log in again");
            }
        }
        finally
        {
            application.logout(new logout()); // takes along the end users, endpoints and subscriptions that are left
            Console.WriteLine("logged out");
            // Mono 6.8 sometimes crashes at its end while a connection is open.
            ServicePointManager.FindServicePoint(new Uri(url)).CloseConnectionGroup("");
        }
    }
}
