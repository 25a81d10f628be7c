// A small Presence Web Service made of what gSOAP generates from our WSDL: a server that shares no line with the
// client's tests. It keeps sessions, endpoints and subscriptions in memory, checks the session key, answers ?wsdl, and
// says no with the description detail of docs/protocol.md, section 3.
//
// Usage: server WSDL_FILE; it prints its port on one line and serves until it is ended.

#include "PresenceSoapBinding.nsmap"
#include "soapPresenceSoapBindingService.h"

#include <arpa/inet.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {

std::mutex guard;
std::string wsdl;
int last_key = 0;
std::map<std::string, bool> sessions;  // key -> of an application user
std::map<int, std::string> endpoints;
std::map<int, std::vector<std::string>> subscriptions;
std::map<std::string, ns1__GetPresenceStatusType> states;
std::string document;  // the last rich document that was set

template <typename Map> int lowest_free(const Map &used) {
    int id = 1;
    while (used.count(id)) ++id;
    return id;
}

int answer_get(struct soap *soap) {
    soap_response(soap, SOAP_HTML);
    soap_send(soap, wsdl.c_str());
    soap_end_send(soap);
    return SOAP_OK;
}

class Service : public PresenceSoapBindingService {
public:
    explicit Service(struct soap *soap) : PresenceSoapBindingService(soap) {}
    PresenceSoapBindingService *copy() override { return new Service(soap_copy(soap)); }

    int login(_ns1__login *request, ns1__LoginResponse &response) override {
        std::lock_guard<std::mutex> hold(guard);
        bool application = request->__union_login == SOAP_UNION__ns1__union_login_password;
        if (application && *request->union_login.password != "correct-horse-battery") return refuse(114, "Login failed");
        if (!application && !sessions.count(*request->union_login.app_session_id)) return refuse(101, "No session");
        if (request->username == "elsewhere") {
            auto *redirect = soap_new__ns1__LoginResponse_redirect(soap);
            redirect->primaryServer = text("imp2.example.com");
            response.__union_LoginResponse = SOAP_UNION__ns1__union_LoginResponse_redirect;
            response.union_LoginResponse.redirect = redirect;
            return SOAP_OK;
        }
        auto *success = soap_new__ns1__LoginResponse_success(soap);
        success->session_key = "key-" + std::to_string(++last_key);
        success->backupServer = text("imp3.example.com");
        sessions[success->session_key] = application;
        response.__union_LoginResponse = SOAP_UNION__ns1__union_LoginResponse_success;
        response.union_LoginResponse.success = success;
        return SOAP_OK;
    }

    int logout(_ns1__logout *, ns1__ResponseStatusType &response) override {
        std::lock_guard<std::mutex> hold(guard);
        if (int error = no_session()) return error;
        sessions.erase(*soap->header->ns1__session_key);
        return done(response);
    }

    int registerEndPoint(_ns1__registerEndPoint *request, _ns1__registerEndPointResponse &response) override {
        std::lock_guard<std::mutex> hold(guard);
        if (int error = no_session()) return error;
        if (!sessions[*soap->header->ns1__session_key]) return refuse(141, "Application users only");
        if (request->endPointID == 0) {
            if (!request->url || request->url->empty()) return refuse(130, "No URL");
            response.endPointID = lowest_free(endpoints);
            endpoints[response.endPointID] = *request->url;
            return SOAP_OK;
        }
        if (request->url) return refuse(123, "URL in a refresh");
        if (!endpoints.count(request->endPointID)) return refuse(132, "No such endpoint");
        response.endPointID = request->endPointID;
        return SOAP_OK;
    }

    int unregisterEndPoint(_ns1__unregisterEndPoint *request, ns1__ResponseStatusType &response) override {
        std::lock_guard<std::mutex> hold(guard);
        if (int error = no_session()) return error;
        if (!endpoints.erase(request->endPointID)) return refuse(132, "No such endpoint");
        return done(response);
    }

    int subscribe(_ns1__subscribe *request, _ns1__subscribeResponse &response) override {
        std::lock_guard<std::mutex> hold(guard);
        if (int error = no_session()) return error;
        if (!endpoints.count(request->endPointID)) return refuse(132, "No such endpoint");
        int id = request->subscriptionID;
        if (id == 0) {
            if (!request->contactsList) return refuse(146, "No contact list");
            id = lowest_free(subscriptions);
            subscriptions[id];
        } else if (!subscriptions.count(id)) {
            return refuse(133, "No such subscription");
        } else if (!request->contactsList && !request->expiration) {
            return refuse(145, "Neither expiry nor contacts");
        }
        if (request->contactsList)
            for (auto *contact : request->contactsList->contact) subscriptions[id].push_back(*contact->contactURI);
        response.subscriptionID = id;
        return SOAP_OK;
    }

    int unsubscribe(_ns1__unsubscribe *request, ns1__ResponseStatusType &response) override {
        std::lock_guard<std::mutex> hold(guard);
        if (int error = no_session()) return error;
        auto &asked = request->unsubscribeRequest;
        if (!subscriptions.count(asked.subscriptionID)) return refuse(133, "No such subscription");
        auto &choice = asked.union_unsubscribe_unsubscribeRequest;
        switch (asked.__union_unsubscribe_unsubscribeRequest) {
            case SOAP_UNION__ns1__union_unsubscribe_unsubscribeRequest_unsubscribeAll:
                subscriptions.erase(asked.subscriptionID);
                return done(response);
            case SOAP_UNION__ns1__union_unsubscribe_unsubscribeRequest_contactsList: {
                std::set<std::string> gone;
                for (auto *contact : choice.contactsList->contact) gone.insert(*contact->contactURI);
                std::vector<std::string> kept;
                for (auto &uri : subscriptions[asked.subscriptionID])
                    if (!gone.count(uri)) kept.push_back(uri);
                subscriptions[asked.subscriptionID] = kept;
                return done(response);
            }
            default:
                return refuse(146, "No contact list");
        }
    }

    int getSubscribedPresence(
        _ns1__getSubscribedPresence *request, _ns1__getSubscribedPresenceResponse &response) override {
        std::lock_guard<std::mutex> hold(guard);
        if (int error = no_session()) return error;
        auto found = subscriptions.find(request->subscriptionID);
        if (found == subscriptions.end()) return refuse(133, "No such subscription");
        response.presenceResponse = presence(found->second, request->presenceType);
        return SOAP_OK;
    }

    int getPolledPresence(_ns1__getPolledPresence *request, _ns1__getPolledPresenceResponse &response) override {
        std::lock_guard<std::mutex> hold(guard);
        if (int error = no_session()) return error;
        std::vector<std::string> uris;
        for (auto *contact : request->contactsList->contact) uris.push_back(*contact->contactURI);
        response.presenceResponse = presence(uris, request->presenceType);
        return SOAP_OK;
    }

    int setPresence(_ns1__setPresence *request, ns1__ResponseStatusType &response) override {
        std::lock_guard<std::mutex> hold(guard);
        if (int error = no_session()) return error;
        auto *info = request->presenceInfo;
        if (info->richPresence && info->richPresence->__item) {
            document = info->richPresence->__item;
        } else if (!info->basicPresence) {
            return refuse(115, "No basic presence");
        } else {
            // The states that can be set have their own enumeration, without UNKNOWN: by name, then.
            const char *name = soap_ns1__SetPresenceStatusType2s(soap, *info->basicPresence);
            ns1__GetPresenceStatusType state;
            if (soap_s2ns1__GetPresenceStatusType(soap, name, &state)) return soap->error;
            states["dispatcher@example.com"] = state;
        }
        return done(response);
    }

private:
    std::string *text(const std::string &value) {
        auto *made = soap_new_std__string(soap);
        *made = value;
        return made;
    }

    int done(ns1__ResponseStatusType &response) {
        response.status = _ns1__ResponseStatusType_status__SUCCESS;
        return SOAP_OK;
    }

    int no_session() {
        if (!soap->header || !soap->header->ns1__session_key) return refuse(100, "No session key");
        if (!sessions.count(*soap->header->ns1__session_key)) return refuse(101, "Session key not valid");
        return SOAP_OK;  // the header is left in place, so that the reply repeats it
    }

    int refuse(int code, const char *message) {
        std::ostringstream detail;
        detail << "<description xmlns=\"urn:cisco:cup:presence:soap\"><code>" << code << "</code><message>" << message
               << "</message><fix>Ask again differently</fix></description>";
        return soap_senderfault(message, soap_strdup(soap, detail.str().c_str()));
    }

    ns1__PresenceResponse *presence(const std::vector<std::string> &uris, ns1__PresenceType type) {
        auto *response = soap_new_ns1__PresenceResponse(soap);
        response->presenceType = type;
        if (type == ns1__PresenceType__BASIC_USCOREPRESENCE) {
            auto *list = soap_new_ns1__BasicPresenceList(soap);
            for (auto &uri : uris) {
                auto *contact = soap_new_ns1__ContactStatusType(soap);
                contact->contactURI = text(uri);
                auto *state = static_cast<ns1__GetPresenceStatusType *>(soap_malloc(soap, sizeof *contact->presenceStatus));
                *state = states.count(uri) ? states[uri] : ns1__GetPresenceStatusType__AVAILABLE;
                contact->presenceStatus = state;
                list->contact.push_back(contact);
            }
            response->basicPresenceList = list;
            return response;
        }
        std::ostringstream all;
        for (auto &uri : uris)
            all << (uri == "dispatcher@example.com" && !document.empty()
                        ? document
                        : "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:" + uri +
                              "\"><person xmlns=\"urn:cisco:params:xml:ns:pidf:rpid\"><activities><busy/><on-the-phone/>"
                              "</activities></person></presence>");
        response->richPresenceList = soap_new_xsd__anyType(soap);
        response->richPresenceList->__item = soap_strdup(soap, all.str().c_str());
        return response;
    }
};

}  // namespace

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    std::ifstream file(argv[1]);
    std::ostringstream content;
    content << file.rdbuf();
    wsdl = content.str();

    struct soap *soap = soap_new1(SOAP_IO_KEEPALIVE | SOAP_C_UTFSTRING);
    soap->bind_flags = SO_REUSEADDR;
    soap->fget = answer_get;
    soap->recv_timeout = soap->send_timeout = 5;
    Service service(soap);
    SOAP_SOCKET listening = service.bind("127.0.0.1", 0, 16);
    if (!soap_valid_socket(listening)) return 1;
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    getsockname(listening, reinterpret_cast<struct sockaddr *>(&address), &size);
    std::cout << ntohs(address.sin_port) << std::endl;
    while (soap_valid_socket(service.accept())) {
        auto *one = static_cast<Service *>(service.copy());
        std::thread([one] {
            one->serve();
            one->destroy();
            struct soap *own = one->soap;
            delete one;
            soap_free(own);
        }).detach();
    }
    return 1;
}
